"""The question stage: spans of one video, questions of each kind about them, each checked."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.blind_check import BlindChecker, beats_chance
from pipeline.captioner import DecodedVideo
from pipeline.clock_check import Times, agrees_with_clock
from pipeline.question_kinds import ORDER_KINDS, Draft, describe
from pipeline.record_files import write_records
from pipeline.spans import Span, clip_runs, spans_of
from pipeline.work_store import key_of
from schemas.build_config import BuildConfig
from schemas.reasons import Reason, Stage
from schemas.records import Caption, Clip, Clue, Evidence, Rejection, Sample
from schemas.uniform_frames import smallest_budget

VERSION = "1"

_DESCRIBED_CLIPS = 4
_FEWEST_CLUES = 3


@dataclass(frozen=True, slots=True)
class _Subject:
    """One video with everything said of it."""

    video_id: str
    clips: list[Clip]
    captions: dict[int, Caption]
    clues: list[Clue]
    frame_clips: np.ndarray
    orderer: str


def ask(
    config: BuildConfig, decoded: DecodedVideo, captions: list[Caption], clues: list[Clue], folder: Path,
    blind: BlindChecker | None = None,
) -> None:
    """Write samples.json and rejected.json for one video; `blind` tries to answer without it, None: nobody does."""
    subject = _Subject(
        decoded.video.video_id, decoded.clips, {caption.clip_index: caption for caption in captions},
        [clue for clue in clues if clue.kept], _frame_clips(decoded.folder), config.orderer)
    samples: dict[str, Sample] = {}
    rejected: dict[str, Rejection] = {}
    for span, draft in _drafts(config, subject, rejected):
        sample = _sample(span, draft, subject)
        fault = _fault(sample, draft, subject)
        if fault is None and blind is not None and sample.options:
            seed = int(sample.sample_id[:8], 16)
            guesses = blind.guess(sample.kind, sample.question, sample.options, sample.answer_index, seed)
            sample = replace(sample, blind_right=guesses.right, blind_asked=guesses.asked)
            if beats_chance(guesses, len(sample.options)):
                fault = _rejection(
                    subject.video_id, Reason.GUESSED_BLIND, f"{guesses.right} of {guesses.asked}: {sample.question}",
                    sample.sample_id)
        if fault:
            rejected[sample.sample_id] = fault
        else:
            samples[sample.sample_id] = sample
    write_records(folder / "samples.json", Sample, list(samples.values()))
    write_records(folder / "rejected.json", Rejection, list(rejected.values()))


def _drafts(
    config: BuildConfig, subject: _Subject, rejected: dict[str, Rejection]
) -> Iterator[tuple[Span, Draft]]:
    for span in spans_of(subject.clips, config.spans_minutes, config.clip_seconds):
        clues = _apart([clue for clue in subject.clues
                        if span.first_clip <= clue.clip_indexes[0] and clue.clip_indexes[-1] <= span.last_clip])
        if len(clues) < _FEWEST_CLUES:
            detail = f"{len(clues)} clues from {span.start_s:g} to {span.end_s:g} s"
            rejected[detail] = _rejection(subject.video_id, Reason.TOO_FEW_CLUES, detail, None)
        for name, kind in ORDER_KINDS.items():
            rng = _rng(subject.video_id, span, name, config.seed)
            for draft in islice(kind(span, clues, rng), config.max_questions_per_kind):
                yield span, draft
    runs = list(clip_runs(subject.clips, _DESCRIBED_CLIPS))
    whole = Span(0, 0, 0.0, 0.0)
    chosen = _rng(subject.video_id, whole, "describe", config.seed).permutation(len(runs))
    for run in [runs[i] for i in sorted(chosen[: config.max_questions_per_kind].tolist())]:
        rng = _rng(subject.video_id, run, "describe", config.seed)
        for draft in describe(run, subject.clips, subject.captions, rng):
            yield run, draft


def _apart(clues: Sequence[Clue]) -> list[Clue]:
    """The most clues of which each ends, with its clips, before the next begins (earliest end first)."""
    apart: list[Clue] = []
    for clue in sorted(clues, key=lambda clue: (clue.clip_indexes[-1], clue.end_s, clue.clue_id)):
        if not apart or (clue.clip_indexes[0] > apart[-1].clip_indexes[-1] and clue.start_s >= apart[-1].end_s):
            apart.append(clue)
    return apart


def _sample(span: Span, draft: Draft, subject: _Subject) -> Sample:
    by_index = {clip.clip_index: clip for clip in subject.clips}
    evidence = [
        Evidence(clue_id=clue_id, clip_index=index, start_s=by_index[index].start_s, end_s=by_index[index].end_s)
        for clue_id, index in draft.evidence
    ]
    starts = [item.start_s for item in evidence]
    return Sample(
        sample_id=key_of(draft.kind, subject.video_id, span.start_s, span.end_s, draft.evidence, draft.question,
                         draft.options),
        video_id=subject.video_id, kind=draft.kind, format="multiple_choice" if draft.options else "open",
        question=draft.question, options=list(draft.options), answer=draft.answer,
        answer_index=draft.answer_index, span_start_s=span.start_s, span_end_s=span.end_s,
        min_frames=_min_frames(span, draft, subject) or 0, evidence=evidence,
        distance_s=max(starts) - min(starts) if len(draft.clues) > 1 else None,
        similarity=max((clue.similarity for clue in (*draft.clues, *draft.option_clues)), default=0.0),
        captioner=subject.captions[evidence[0].clip_index].captioner, orderer=subject.orderer)


def _min_frames(span: Span, draft: Draft, subject: _Subject) -> int | None:
    """The smallest frame budget for the span that shows every evidence clip twice; None if none does."""
    first, last = np.searchsorted(subject.frame_clips, [span.first_clip, span.last_clip + 1])
    stretches = {
        tuple(int(place - first) for place in np.searchsorted(subject.frame_clips, [index, index + 1]))
        for _, index in draft.evidence
    }
    return smallest_budget(int(last - first), sorted(stretches))


def _fault(sample: Sample, draft: Draft, subject: _Subject) -> Rejection | None:
    if sample.min_frames == 0:
        return _rejection(subject.video_id, Reason.TOO_FEW_FRAMES, sample.question, sample.sample_id)
    if not agrees_with_clock(sample, _times(draft)):
        return _rejection(subject.video_id, Reason.DISAGREES_WITH_CLOCK, sample.question, sample.sample_id)
    return None


def _times(draft: Draft) -> Times:
    return {" ".join(clue.text.split()): (clue.start_s, clue.end_s) for clue in (*draft.clues, *draft.option_clues)}


def _frame_clips(decoded_folder: Path) -> np.ndarray:
    """The clip of each stored frame, rising."""
    return pq.read_table(decoded_folder / "frames.parquet", columns=["clip_index"])["clip_index"].to_numpy()


def _rng(video_id: str, span: Span, kind: str, seed: int) -> np.random.Generator:
    """A generator that depends on the question's place alone, so that nothing else can shift it."""
    text = f"{seed} {video_id} {span.first_clip} {span.last_clip} {kind}"
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


def _rejection(video_id: str, reason: Reason, detail: str, item_id: str | None) -> Rejection:
    return Rejection(stage=Stage.QUESTIONS, reason=reason, detail=detail, video_id=video_id, item_id=item_id)
