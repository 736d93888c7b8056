"""Where it may be said that something does not happen: only where all of a stretch was looked at."""

from collections.abc import Mapping, Sequence

from pipeline.spans import Span, clips_inside
from schemas.records import Caption, Clip, Clue


def is_complete(span: Span, clips: Sequence[Clip], captions: Mapping[int, Caption], declared: bool) -> bool:
    """Whether the key events name all that happens in a span.

    Args:
        span: the span.
        clips: the clips of the video that were decoded, by index.
        captions: what is said of them.
        declared: whether the caption files say of themselves that they name every event.
    """
    inside = clips_inside(clips, span.first_clip, span.last_clip)
    return (declared and len(inside) == span.last_clip - span.first_clip + 1
            and all(clip.clip_index in captions for clip in inside))


def was_asked_everywhere(clue: Clue, clip_count: int) -> bool:
    """Whether a model was shown every clip of the video and saw the clue in its own clips only."""
    return clue.seen is not None and clue.seen["asked"] >= clip_count and clue.seen["yes"] <= len(clue.clip_indexes)
