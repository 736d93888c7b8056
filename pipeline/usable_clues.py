"""Which clues and actions of a video may stand in a question: well worded, and unlike each other."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pipeline.clues import LIKE_FROM
from pipeline.kinds.draft import phrase
from pipeline.likeness import WordLikeness
from pipeline.sentences import telling_words
from pipeline.wording_check import wording_fault
from schemas.reasons import Reason, Stage
from schemas.records import Caption, Clip, Clue, Rejection

_FEWEST_ACTION_WORDS = 2


def usable_clues(clues: Sequence[Clue]) -> tuple[list[Clue], list[Rejection]]:
    """The kept clues that may be asked about, and why others may not."""
    kept = [clue for clue in clues if clue.kept]
    said = Counter(telling_words(clue.text) for clue in kept)
    usable, rejected = [], []
    for clue in kept:
        fault = wording_fault(phrase(clue))
        if fault is None and said[telling_words(clue.text)] > 1:
            fault = Reason.CLUE_REPEATED, "the same words"
        if fault is None:
            usable.append(clue)
        else:
            rejected.append(Rejection(
                stage=Stage.QUESTIONS, reason=fault[0], detail=f"{fault[1]}: {phrase(clue)}", video_id=clue.video_id,
                clip_index=clue.clip_indexes[0], item_id=clue.clue_id))
    return usable, rejected


def usable_actions(
    clips: Sequence[Clip], captions: Mapping[int, Caption], clues: Sequence[Clue]
) -> Iterator[Clue]:
    """An action of each clip that no other clip says anything like, as a clue of kind 'action' without an id.

    Only clips that have a clue are asked: their pictures are known not to come again.
    """
    places = {index for clue in clues if len(clue.clip_indexes) == 1 for index in clue.clip_indexes}
    with_actions = [clip for clip in clips if clip.clip_index in captions and captions[clip.clip_index].actions]
    if not with_actions:
        return
    ordered = [clip for clip in clips if clip.clip_index in captions]
    likeness = WordLikeness([_all_said(captions[clip.clip_index]) for clip in ordered])
    for number, clip in enumerate(ordered):
        if clip.clip_index not in places:
            continue
        for action in captions[clip.clip_index].actions:
            words = " ".join(action.split())
            if len(telling_words(words)) < _FEWEST_ACTION_WORDS or wording_fault(words):
                continue
            if likeness.highest(words, frozenset({number})) < LIKE_FROM:
                yield Clue(
                    clue_id="", video_id=clip.video_id, clip_indexes=[clip.clip_index], start_s=clip.start_s,
                    end_s=clip.end_s, text=words, kind="action", sentences=[], orderer="", kept=True, similarity=0.0)
                break


def _all_said(caption: Caption) -> str:
    return " ".join([caption.caption, *caption.actions, *(event.text for event in caption.key_events)])
