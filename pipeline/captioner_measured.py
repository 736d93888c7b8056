"""The captioner without a model: says in plain sentences what was measured in the pixels, and no more."""

from pipeline.captioner import DecodedVideo
from schemas.records import Caption, Clip, Measures, Rejection, Video

_DARK, _BRIGHT = 0.25, 0.6
_CHANGE = 0.12
_STILL_SHARE, _SMALL_SHARE, _MOST_SHARE = 0.02, 0.25, 0.6
_SLOW, _FAST = 0.08, 0.25


class MeasuredCaptioner:
    """Light, dominant colours, motion with its direction, and cuts."""

    name = "measured"
    _VERSION = "1"

    def depends_on(self, video: Video) -> str:
        """The version of its wording."""
        return self._VERSION

    def caption(self, decoded: DecodedVideo) -> tuple[list[Caption], list[Rejection]]:
        """A caption for every clip; it never fails."""
        return [_caption(clip) for clip in decoded.clips], []


def _caption(clip: Clip) -> Caption:
    measures = clip.measures
    sentences = [_light_and_colours(measures), _motion(measures), _cuts(len(clip.cuts_s)), _change(measures)]
    sentences = [sentence for sentence in sentences if sentence]
    return Caption(
        clip_index=clip.clip_index, caption=" ".join(sentences), sentences=sentences,
        captioner=MeasuredCaptioner.name)


def _light_and_colours(measures: Measures) -> str:
    light = "dark" if measures.brightness < _DARK else "bright" if measures.brightness > _BRIGHT else None
    colours = " and ".join(filter(None, [", ".join(measures.colours[:3][:-1]), *measures.colours[:3][-1:]]))
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
    way = {None: " in different directions", "left": " to the left", "right": " to the right",
           "up": " upwards", "down": " downwards"}[measures.direction]
    return f"{what} of it moves{pace}{way}."


def _cuts(count: int) -> str:
    if count == 0:
        return "It is one shot without a cut."
    return "There is one cut." if count == 1 else f"There are {count} cuts."


def _change(measures: Measures) -> str | None:
    if abs(measures.brightness_change) < _CHANGE:
        return None
    return f"It grows {'brighter' if measures.brightness_change > 0 else 'darker'} towards the end."
