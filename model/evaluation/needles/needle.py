"""Stills that are hidden in a video, and what is asked about them.

Five are drawn with Pillow, the same pixels every time. They show what no film shows by chance, and each can be told
from its wrong options at 336 pixels.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from model.evaluation.question import LETTERS, Question
from model.evaluation.task import BadDataError, MissingDataError
from model.evaluation.viewing import Picture, Viewing, read_picture
from pipeline.decode import UnreadableVideoError

SIDE = 336
LIST_NAME = "needles.json"
Scoring = Literal["letter", "forced"]
"""letter: generate behind "Best option:(", right if the letter is; forced: every token of the answer likeliest."""

_IN_A_WORD = "Answer the question using a single word or phrase."
_PAPER, _INK, _RED, _GREEN, _BLUE, _GREY = (
    (250, 246, 232), (24, 28, 44), (212, 36, 40), (36, 160, 74), (36, 92, 214), (70, 74, 84))


@dataclass(frozen=True, slots=True, eq=False)
class Needle:
    """A still and its question.

    Attributes:
        name: in results.
        picture: uint8 [height, width, 3].
        question: without its options.
        options: four, or as many as there are; none: it is asked in the forced way only.
        answer: the right one, a word or two.
    """

    name: str
    picture: Picture
    question: str
    options: tuple[str, ...]
    answer: str

    @property
    def digest(self) -> str:
        """sha256, in hex digits, over the picture and all that is asked."""
        said = json.dumps([self.picture.shape, self.question, self.options, self.answer])
        return hashlib.sha256(said.encode() + self.picture.tobytes()).hexdigest()

    @property
    def scorings(self) -> tuple[Scoring, ...]:
        """The ways in which it can be asked."""
        return ("letter", "forced") if self.options else ("forced",)

    def asked(self, scoring: Scoring, question_id: str, viewing: Viewing) -> Question:
        """Its question in one of the ways."""
        return (self.letter_question if scoring == "letter" else self.forced_question)(question_id, viewing)

    def letter_question(self, question_id: str, viewing: Viewing) -> Question:
        """To be answered with a letter behind "Best option:(", as Video-XL's authors ask."""
        listed = "\n".join(f"({letter}) {option}" for letter, option in zip(LETTERS, self.options, strict=False))
        return Question(
            question_id, viewing, f"Question: {self.question}\nOptions:\n{listed}\nAnswer: ", "letter",
            LETTERS[self.options.index(self.answer)], self.options, prefill="Best option:(", most_tokens=4)

    def forced_question(self, question_id: str, viewing: Viewing) -> Question:
        """Right if every token of the answer is the likeliest where it stands, as LongVA's authors count. A question
        without options is asked as it stands: it says itself what kind of answer it wants.
        """
        words = f"{self.question}\n{_IN_A_WORD}" if self.options else self.question
        return Question(question_id, viewing, words, "open", self.answer, teacher_forced=True)


def drawn_needles() -> list[Needle]:
    """The five of our own; their letters are D, C, C, B and A, as those of the published five."""
    return [
        Needle("clock", _clock(4), "A clock face fills one picture. What time does it show?",
               ("ten o'clock", "seven o'clock", "one o'clock", "four o'clock"), "four o'clock"),
        Needle("poster", _poster("PELICAN"), "What is the secret word on the poster?",
               ("walnut", "lantern", "pelican", "harbour"), "pelican"),
        Needle("die", _die(), "A large die is shown in one picture. How many dots does it show?",
               ("two", "three", "five", "six"), "five"),
        Needle("traffic light", _traffic_light(), "Which lamp of the traffic light is lit?",
               ("red", "green", "amber", "none"), "green"),
        Needle("fish", _fish(), "What colour is the fish in the bowl?",
               ("red", "blue", "yellow", "black"), "red"),
    ]


def read_needles(folder: Path) -> list[Needle]:
    """One's own needles: pictures and needles.json, a list of {image, question, options, answer}; options may be left
    out.

    Raises:
        MissingDataError, BadDataError: a file is missing, cannot be read, or its answer is none of the options.
    """
    path = folder / LIST_NAME
    if not path.is_file():
        raise MissingDataError(f"no file {path}: a list of objects with image, question, options and answer")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        needles = [
            Needle(Path(row["image"]).stem, read_picture(folder / row["image"], row["image"]), row["question"],
                   tuple(row.get("options", ())), row["answer"]) for row in rows]
    except (ValueError, KeyError, TypeError, AttributeError, UnreadableVideoError) as error:
        raise BadDataError(f"{path}: {error}") from error
    wrong = next((needle for needle in needles if needle.options and needle.answer not in needle.options), None)
    if wrong is not None:
        raise BadDataError(f"{path}: the answer of {wrong.name} is none of its options")
    if not needles or len({needle.name for needle in needles}) < len(needles):
        raise BadDataError(f"{path}: it must list at least one needle, and no two images of the same name")
    return needles


def _canvas(colour: tuple[int, int, int]) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (SIDE, SIDE), colour)
    return picture, ImageDraw.Draw(picture)


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, fill: tuple[int, int, int]) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill)


def _lettering(draw: ImageDraw.ImageDraw, middle: Sequence[float], text: str, size: int) -> None:
    draw.text(middle, text, _INK, ImageFont.load_default(size), anchor="mm")


def _clock(hour: int) -> Picture:
    picture, draw = _canvas((120, 150, 170))
    middle = SIDE / 2
    _disc(draw, middle, middle, 150, _INK)
    _disc(draw, middle, middle, 140, _PAPER)
    for number in range(1, 13):
        angle = math.tau * number / 12
        _lettering(draw, (middle + 112 * math.sin(angle), middle - 112 * math.cos(angle)), str(number), 30)
    for angle, length, width in ((0.0, 92, 6), (math.tau * hour / 12, 62, 12)):
        tip = (middle + length * math.sin(angle), middle - length * math.cos(angle))
        draw.line((middle, middle, *tip), _INK, width)
    return np.asarray(picture)


def _poster(word: str) -> Picture:
    picture, draw = _canvas(_BLUE)
    draw.rectangle((24, 60, SIDE - 24, SIDE - 60), _PAPER)
    _lettering(draw, (SIDE / 2, 120), "THE SECRET WORD IS", 26)
    _lettering(draw, (SIDE / 2, 190), word, 58)
    return np.asarray(picture)


def _die() -> Picture:
    picture, draw = _canvas((30, 110, 60))
    draw.rounded_rectangle((48, 48, SIDE - 48, SIDE - 48), 36, _PAPER)
    for x, y in ((106, 106), (230, 106), (168, 168), (106, 230), (230, 230)):
        _disc(draw, x, y, 24, _INK)
    return np.asarray(picture)


def _traffic_light() -> Picture:
    picture, draw = _canvas((190, 214, 236))
    draw.rectangle((156, 300, 180, SIDE), _GREY)
    draw.rounded_rectangle((98, 18, 238, 308), 24, _INK)
    for y, colour in ((70, _GREY), (163, _GREY), (256, _GREEN)):
        _disc(draw, SIDE / 2, y, 40, colour)
    return np.asarray(picture)


def _fish() -> Picture:
    picture, draw = _canvas((236, 222, 196))
    _disc(draw, SIDE / 2, 176, 140, (150, 196, 222))
    draw.rectangle((98, 20, SIDE - 98, 64), (236, 222, 196))
    draw.ellipse((86, 134, 220, 222), _RED)
    draw.polygon([(206, 178), (262, 132), (262, 224)], _RED)
    _disc(draw, 122, 166, 8, _PAPER)
    return np.asarray(picture)
