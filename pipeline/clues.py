"""The clue stage: what can be found again in a video, and stands in one place only.

A clue comes from a key event, which has times of its own; a clip without key events gives its caption,
or the sentence of it that is least like what is said of other clips. Two tests keep a clue: its words
must not be said of another place, and its pictures must not come again. Where models are served, an embedding model
is asked whether it is said of another place in other words (`pipeline.meaning`), and a vision-language model
whether it is seen there (`pipeline.picture_check`).
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from pipeline.captioner import DecodedVideo
from pipeline.clue_orderer import Candidate, Proposal
from pipeline.meaning import Meaning
from pipeline.other_places import OtherPlaces
from pipeline.picture_check import PictureCheck
from pipeline.record_files import write_records
from pipeline.scene_returns import SceneReturns
from pipeline.sentences import telling_words
from pipeline.work_store import key_of
from schemas.reasons import Reason, Stage
from schemas.records import Caption, Clip, Clue, Rejection

VERSION = "4"

LIKE_FROM = 0.75
"""Likeness to another place from which a clue does not stand in one place."""
_FEWEST_WORDS = 3
_LONGEST_WHOLE_CAPTION = 40
"""A caption of at most so many words is a clue as it stands; of a longer one, a sentence."""


def find_clues(
    decoded: DecodedVideo, captions: list[Caption], orderer: str, folder: Path, proposal: Proposal | None = None,
    meaning: Meaning | None = None, pictures: PictureCheck | None = None,
) -> None:
    """Write clues.json (kept and dropped ones, in order of time), rejected.json and order.json for one video.

    Args:
        decoded: the video.
        captions: what is said of its clips.
        orderer: who ordered the clues.
        folder: where to write.
        proposal: the orderer's clues; None where the clock orders and the clues come from the captions alone.
        meaning: asks an embedding model whether they are said elsewhere in other words; None where there is none.
        pictures: asks a model whether the clues can be seen; None where there is none to ask.
    """
    clips = {clip.clip_index: clip for clip in decoded.clips}
    places = OtherPlaces(captions, clips)
    scenes = SceneReturns(decoded.folder, decoded.video.cuts_s)
    # Where the picture is asked, a clip part of which returns may still hold a moment that does not.
    returns = scenes.returns if pictures is None else scenes.returns_wholly
    if proposal is None:
        proposal = Proposal(list(_candidates(captions, clips, places)), [])
    clues = sorted(
        (_judge(candidate, decoded.video.video_id, orderer, places, returns) for candidate in proposal.candidates),
        key=lambda clue: (clue.start_s, clue.end_s, clue.clue_id))
    if meaning is not None:
        clues = meaning.check(captions, clips, clues)
    if pictures is not None:
        clues = pictures.check(decoded, captions, clues)
    write_records(folder / "clues.json", Clue, clues)
    dropped = [_rejection(clue) for clue in clues if not clue.kept]
    write_records(folder / "rejected.json", Rejection, [*proposal.rejected, *dropped])
    (folder / "order.json").write_text(json.dumps(proposal.figures, sort_keys=True), encoding="utf-8")


def _candidates(captions: list[Caption], clips: dict[int, Clip], places: OtherPlaces) -> Iterator[Candidate]:
    events: dict[tuple[float, float, str], list[int]] = {}
    for caption in captions:
        for event in caption.key_events:
            events.setdefault((event.start_s, event.end_s, event.text), []).append(caption.clip_index)
        if not caption.key_events:
            yield _from_caption(caption, clips[caption.clip_index], places)
    for (start_s, end_s, text), indexes in events.items():
        yield Candidate(tuple(indexes), start_s, end_s, text, "event", ())


def _from_caption(caption: Caption, clip: Clip, places: OtherPlaces) -> Candidate:
    def candidate(text: str, sentences: tuple[int, ...]) -> Candidate:
        return Candidate((clip.clip_index,), clip.start_s, clip.end_s, text, "clip", sentences)

    if len(caption.caption.split()) <= _LONGEST_WHOLE_CAPTION:
        return candidate(caption.caption, tuple(range(len(caption.sentences))))
    telling = [candidate(text, (number,)) for number, text in enumerate(caption.sentences)
               if len(telling_words(text)) >= _FEWEST_WORDS]
    return min(telling, key=places.likeness, default=candidate(caption.caption, ()))


def _judge(
    candidate: Candidate, video_id: str, orderer: str, places: OtherPlaces,
    returns: Callable[[float, float, list[int]], bool],
) -> Clue:
    clue = Clue(
        clue_id=key_of(video_id, candidate.clip_indexes, candidate.text), video_id=video_id,
        clip_indexes=list(candidate.clip_indexes), start_s=candidate.start_s, end_s=candidate.end_s,
        text=candidate.text, kind=candidate.kind, sentences=list(candidate.sentences), orderer=orderer,
        similarity=round(places.likeness(candidate), 4), kept=True, model=candidate.model, prompt=candidate.prompt,
        answer_key=candidate.answer_key, order_given=candidate.order_given)
    if candidate.reason:
        return replace(clue, kept=False, reason=candidate.reason)
    if len(telling_words(clue.text)) < _FEWEST_WORDS:
        return replace(clue, kept=False, reason=Reason.CLUE_SAYS_TOO_LITTLE)
    if clue.similarity >= LIKE_FROM:
        return replace(clue, kept=False, reason=Reason.CLUE_ELSEWHERE)
    if returns(clue.start_s, clue.end_s, clue.clip_indexes):
        return replace(clue, kept=False, reason=Reason.SCENE_RETURNS)
    return clue


def _rejection(clue: Clue) -> Rejection:
    return Rejection(
        stage=Stage.CLUES, reason=clue.reason, detail=clue.text, video_id=clue.video_id,
        clip_index=clue.clip_indexes[0], item_id=clue.clue_id)
