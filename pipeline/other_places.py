"""What is said of each place of a video, and which of it is said of a clue's own place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.clue_orderer import Candidate
from pipeline.likeness import WordLikeness
from schemas.records import Caption, Clip, Clue


@dataclass(frozen=True, slots=True)
class Said:
    """Words, and the stretch of the video they are said of, seconds."""

    start_s: float
    end_s: float
    text: str
    is_event: bool
    """A key event has times of its own; anything else is said of a whole clip."""


def events_of(captions: Sequence[Caption]) -> list[Said]:
    """The key events, by time; one over several clips once."""
    found = {(event.start_s, event.end_s, event.text) for caption in captions for event in caption.key_events}
    return [Said(*event, is_event=True) for event in sorted(found)]


def captions_of(captions: Sequence[Caption], clips: Mapping[int, Clip]) -> list[Said]:
    """What is said of each clip, as a whole."""
    return [Said(clips[caption.clip_index].start_s, clips[caption.clip_index].end_s, caption.caption, is_event=False)
            for caption in captions]


def sentences_of(captions: Sequence[Caption], clips: Mapping[int, Clip]) -> list[Said]:
    """The same, sentence by sentence."""
    return [Said(clips[caption.clip_index].start_s, clips[caption.clip_index].end_s, sentence, is_event=False)
            for caption in captions for sentence in caption.sentences]


class Places:
    """All that is said of a video, and where."""

    def __init__(self, said: Sequence[Said]) -> None:
        self.said = list(said)
        self._starts = np.array([one.start_s for one in said])
        self._ends = np.array([one.end_s for one in said])

    def own(self, clue: Candidate | Clue) -> list[int]:
        """Indexes of what is said of the clue's own place: the clue itself, and its clips.

        Another event of the same clip is another place, for a clue that is an event.
        """
        touching = np.flatnonzero((self._starts <= clue.end_s) & (self._ends >= clue.start_s)).tolist()
        return [index for index in touching if _is_own(self.said[index], clue)]


def _is_own(said: Said, clue: Candidate | Clue) -> bool:
    if said.is_event and clue.kind == "event":
        return (said.start_s, said.end_s, said.text) == (clue.start_s, clue.end_s, clue.text)
    return said.start_s < clue.end_s and said.end_s > clue.start_s


class OtherPlaces:
    """Compares clues with what is said of other places, by words."""

    def __init__(self, captions: Sequence[Caption], clips: Mapping[int, Clip]) -> None:
        self._places = Places(events_of(captions) + captions_of(captions, clips))
        self._likeness = WordLikeness([said.text for said in self._places.said])

    def likeness(self, candidate: Candidate) -> float:
        """Likeness of a candidate to the likest other place, 0 to 1."""
        return self._likeness.highest(candidate.text, frozenset(self._places.own(candidate)))
