"""The captioner without a model: says in plain sentences what was measured in the pixels, and no more."""

from collections.abc import Callable, Iterator

from pipeline.captioner import DecodedVideo
from pipeline.colour_names import COLOUR_NAMES
from schemas.records import Caption, Clip, Measures, Rejection

_DARK, _BRIGHT = 0.25, 0.6
_CHANGE = 0.12
_STILL_SHARE, _SMALL_SHARE, _MOST_SHARE = 0.02, 0.25, 0.6
_SLOW, _FAST = 0.08, 0.25
_WAYS = {"left": "to the left", "right": "to the right", "up": "upwards", "down": "downwards"}
_AHEAD_BY = 1.25
"""How many times the next value a clip's value must be to be said to stand out in the video."""

Quantity = Callable[[Clip], float]


class MeasuredCaptioner:
    """Light, dominant colours, motion with its direction, cuts, and in what a clip stands out in its video."""

    name = "measured"
    _VERSION = "1"

    def depends_on(self, decoded: DecodedVideo) -> str:
        """The version of its wording."""
        return self._VERSION

    def caption(self, decoded: DecodedVideo) -> tuple[list[Caption], list[Rejection]]:
        """A caption for every clip; it never fails."""
        records = _records(decoded.clips)
        return [_caption(clip, records.get(clip.clip_index, [])) for clip in decoded.clips], []


def _caption(clip: Clip, records: list[str]) -> Caption:
    measures = clip.measures
    said = [_light_and_colours(measures), _motion(measures), _cuts(len(clip.cuts_s)), _change(measures), *records]
    sentences = [sentence for sentence in said if sentence]
    return Caption(
        clip_index=clip.clip_index, caption=" ".join(sentences), sentences=sentences,
        captioner=MeasuredCaptioner.name)


def _light_and_colours(measures: Measures) -> str:
    light = "dark" if measures.brightness < _DARK else "bright" if measures.brightness > _BRIGHT else None
    *most, last = measures.colours[:3] or [""]
    colours = f"{', '.join(most)} and {last}" if most else last
    if light and colours:
        return f"The picture is {light}, mostly {colours}."
    if colours:
        return f"The picture is mostly {colours}."
    return f"The picture is {light or 'of medium light'}, in many colours."


def _motion(measures: Measures) -> str:
    share = measures.moving_share
    if share < _STILL_SHARE:
        return "Almost nothing moves."
    what = "A small part" if share < _SMALL_SHARE else "Most" if share > _MOST_SHARE else "A part"
    pace = " slowly" if measures.motion < _SLOW else " fast" if measures.motion > _FAST else ""
    way = _WAYS.get(measures.direction, "in different directions")
    return f"{what} of the picture moves{pace} {way}."


def _cuts(count: int) -> str:
    if count == 0:
        return "There is no cut."
    return "There is one cut." if count == 1 else f"There are {count} cuts."


def _change(measures: Measures) -> str | None:
    if abs(measures.brightness_change) < _CHANGE:
        return None
    return f"The picture grows {'brighter' if measures.brightness_change > 0 else 'darker'} towards the end."


def _records(clips: list[Clip]) -> dict[int, list[str]]:
    """Sentences on what is largest in a clip of all clips, by clip; only where it is well ahead of the next."""
    found: dict[int, list[str]] = {}
    for sentence, floor, quantity in _quantities():
        ranked = sorted(clips, key=quantity, reverse=True)
        if len(ranked) > 1 and quantity(ranked[0]) >= max(floor, _AHEAD_BY * quantity(ranked[1])):
            found.setdefault(ranked[0].clip_index, []).append(sentence)
    return found


def _quantities() -> Iterator[tuple[str, float, Quantity]]:
    """What a clip can stand out in: the sentence, the least value worth a word, and the value."""
    for colour in COLOUR_NAMES:
        sentence = f"Nowhere else is so much {colour} to be seen."
        yield sentence, 0.04, lambda clip, c=colour: clip.measures.colour_shares[c]
    yield "No other stretch is so bright.", 0.3, lambda clip: clip.measures.brightness
    yield "No other stretch is so dark.", 4.0, lambda clip: 1 / max(0.01, clip.measures.brightness)
    yield "Nowhere else is so much in motion.", 0.05, _motion_amount
    yield "No other stretch has so many cuts.", 2.0, lambda clip: float(len(clip.cuts_s))
    yield "Nowhere else does the picture brighten so much.", _CHANGE, lambda clip: clip.measures.brightness_change
    yield "Nowhere else does the picture darken so much.", _CHANGE, lambda clip: -clip.measures.brightness_change
    for direction, way in _WAYS.items():
        sentence = f"Nowhere else is there so clear a motion {way}."
        yield sentence, 0.05, lambda clip, d=direction: _motion_amount(clip) * (clip.measures.direction == d)


def _motion_amount(clip: Clip) -> float:
    return clip.measures.motion * clip.measures.moving_share
