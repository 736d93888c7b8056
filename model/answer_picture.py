"""Answers with their bars of time as one PNG, drawn with Pillow."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from textwrap import wrap

from PIL import Image, ImageDraw, ImageFont

from model.answer_card import Card
from model.where import clock

_WIDTH, _MARGIN, _LINE, _BAR, _STILL = 1000, 24, 22, 48, 180
_INK, _SOFT, _BED, _LEVEL, _FOUND = "#1c1a15", "#6a655a", "#f1eee6", "#a5cfc4", "#0b6e63"


def write_picture(path: Path, cards: Sequence[Card]) -> None:
    """Write the cards below each other into a .png file."""
    drawn = [_draw(card) for card in cards]
    whole = Image.new("RGB", (_WIDTH, sum(one.height for one in drawn)), "white")
    top = 0
    for one in drawn:
        whole.paste(one, (0, top))
        top += one.height
    whole.save(path, "PNG")


def _draw(card: Card) -> Image.Image:
    words = [(line, _INK) for line in _lines(card.question)]
    words += [(line, _FOUND) for line in _lines(card.said or "(nothing)")]
    words += [(f"{clock(one.start_s)} to {clock(one.end_s)}  {one.label}"[:110], _SOFT) for one in card.found]
    height = 2 * _MARGIN + _LINE * (len(words) + 2) + _BAR + (_STILL if card.stills else 0)
    picture = Image.new("RGB", (_WIDTH, height), "white")
    pen, font, top = ImageDraw.Draw(picture), ImageFont.load_default(15), _MARGIN
    for line, colour in words:
        pen.text((_MARGIN, top), line, colour, font)
        top += _LINE
    _draw_bar(pen, card, top)
    top += _BAR + _LINE // 2
    pen.text((_MARGIN, top), clock(card.start_s), _SOFT, font)
    pen.text((_WIDTH - _MARGIN, top), clock(card.end_s), _SOFT, font, anchor="ra")
    _paste_stills(picture, pen, card, top + _LINE, font)
    return picture


def _lines(text: str) -> list[str]:
    return [line for one in text.splitlines() for line in wrap(one, 110)]


def _draw_bar(pen: ImageDraw.ImageDraw, card: Card, top: int) -> None:
    """Levels, and the stretches looked at as a line below them."""
    length, bottom = _WIDTH - 2 * _MARGIN, top + _BAR - 8
    pen.rectangle((_MARGIN, top, _MARGIN + length, bottom), _BED)
    for number, level in enumerate(card.levels):
        left, right = (_MARGIN + length * at / len(card.levels) for at in (number, number + 1))
        pen.rectangle((left, bottom - level * (bottom - top), right, bottom), _LEVEL)

    def place(second: float) -> float:
        return _MARGIN + length * (second - card.start_s) / (card.end_s - card.start_s)

    for one in card.found:
        pen.rectangle((place(one.start_s), bottom + 2, max(place(one.end_s) - 2, place(one.start_s)), bottom + 7),
                      _FOUND)


def _paste_stills(
    picture: Image.Image, pen: ImageDraw.ImageDraw, card: Card, top: int, font: ImageFont.FreeTypeFont
) -> None:
    left = _MARGIN
    for still in card.stills:
        with Image.open(BytesIO(still.jpeg)) as frame:
            frame = frame.convert("RGB")
            frame.thumbnail((_STILL * 2, _STILL - 2 * _LINE))
        if left + frame.width > _WIDTH - _MARGIN:
            return
        picture.paste(frame, (left, top))
        pen.text((left, top + frame.height + 2), clock(still.time_s), _SOFT, font)
        left += frame.width + 8
