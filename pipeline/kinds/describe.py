"""Describe a stretch; the answer is what was said of its clips, in order, nothing twice."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.kinds.draft import Draft, one_of
from pipeline.spans import Span, clips_inside
from schemas.records import Caption, Clip

_WORDINGS = (
    "Describe what is to be seen in this part of the video.", "What happens in this video? Describe it.",
    "Tell what this stretch of video shows, from beginning to end.",
    "Describe this part of the video in the order in which things happen.",
)


def describe(
    run: Span, clips: Sequence[Clip], captions: Mapping[int, Caption], rng: np.random.Generator
) -> Draft | None:
    """Describe a run of clips; `clips` are by index; None when nothing was said of one of them."""
    inside = clips_inside(clips, run.first_clip, run.last_clip)
    if any(clip.clip_index not in captions or not captions[clip.clip_index].caption.strip() for clip in inside):
        return None
    said = dict.fromkeys(
        " ".join(sentence.split()) for clip in inside for sentence in captions[clip.clip_index].sentences)
    return Draft(
        kind="describe", question=one_of(rng, _WORDINGS), is_open=True, answer=" ".join(said),
        evidence=tuple((None, clip.clip_index) for clip in inside), about=tuple(said))
