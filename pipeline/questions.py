"""The question stage: spans of one video, questions of each kind about them, each checked."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.blind_check import BlindChecker, BlindQuestion, beats_chance
from pipeline.captioner import DecodedVideo
from pipeline.complete_truth import is_complete, was_asked_everywhere
from pipeline.kinds.all_kinds import KINDS, OF_COMPLETE_CAPTIONS, WITHOUT_OPTIONS
from pipeline.kinds.continuations import fair_continuations
from pipeline.kinds.counts import counted_events
from pipeline.kinds.describe import describe
from pipeline.kinds.draft import Draft, Material, phrase, phrases
from pipeline.options import apart
from pipeline.question_desk import Asked, Frames, QuestionDesk, Subject
from pipeline.record_files import write_records
from pipeline.spans import Span, clip_runs, clips_inside, spans_of, stretches
from pipeline.usable_clues import usable_actions, usable_clues
from schemas.build_config import BuildConfig
from schemas.reasons import Reason
from schemas.records import Caption, Clue, Rejection, Sample

VERSION = "5"

_DESCRIBED_CLIPS = 4
_FEWEST_CLUES = 3
_MISSES = 6
"""Draws in a row without a new question after which a kind is done with a span."""
_ABSENT = 64
"""Most clues of the rest of the video that are said not to happen in a span."""


def ask(
    config: BuildConfig, decoded: DecodedVideo, captions: list[Caption], clues: list[Clue], folder: Path,
    blind: BlindChecker | None = None,
) -> None:
    """Write samples.json and rejected.json for one video.

    Args:
        config: the choices.
        decoded: the video.
        captions: what is said of its clips.
        clues: its clues.
        folder: where to write.
        blind: who tries to answer without the video; None: nobody.
    """
    table = pq.read_table(decoded.folder / "frames.parquet", columns=["frame_index", "clip_index"])
    frames = Frames(table["frame_index"].to_numpy(), table["clip_index"].to_numpy())
    said = {caption.clip_index: caption for caption in captions}
    subject = Subject(decoded.video.video_id, decoded.clips, said, clues, frames, config.orderer)
    asked = ask_about(config, subject, blind)
    write_records(folder / "samples.json", Sample, list(asked.samples.values()))
    write_records(folder / "rejected.json", Rejection, list(asked.rejected.values()))


def ask_about(config: BuildConfig, subject: Subject, blind: BlindChecker | None = None) -> Asked:
    """All questions about a video, and what was left out and why."""
    desk = QuestionDesk(config, subject)
    usable, rejected = usable_clues(subject.clues)
    desk.asked.rejected.update({f"{row.item_id} {row.reason}": row for row in rejected})
    known = _Known(
        usable, list(usable_actions(subject.clips, subject.captions, usable)),
        fair_continuations(usable, subject.captions, desk.rng_of("continuations")))
    spans = list(spans_of(subject.clips, config.spans_minutes, config.clip_seconds))
    levels = dict.fromkeys(span.minutes for span in spans)
    share = _share(config, len(levels))
    for level in levels:
        same_length = [span for span in spans if span.minutes == level]
        _ask_level(desk, same_length, known, share)
    _ask_to_describe(desk, share * len(levels))
    if blind is not None:
        _drop_guessed(desk, blind)
    return desk.asked


def most_with_options(config: BuildConfig, clips: int) -> int:
    """Most multiple-choice questions about a video of so many clips; twins are not counted."""
    if not clips:
        return 0
    kinds = KINDS.keys() - WITHOUT_OPTIONS - (frozenset() if config.captions_complete else OF_COMPLETE_CAPTIONS)
    levels = Counter(length for *_, length in stretches(clips, config.spans_minutes, config.clip_seconds))
    share = _share(config, len(levels))
    return len(kinds) * sum(min(share, spans * config.max_questions_per_kind) for spans in levels.values())


def _share(config: BuildConfig, levels: int) -> int:
    """How many questions of a kind may be asked about all spans of one length."""
    return max(1, config.max_questions_per_video // (levels * (len(KINDS) + 1)))


def _ask_level(desk: QuestionDesk, spans: Sequence[Span], known: "_Known", share: int) -> None:
    """Ask about spans of one length, `share` questions of each kind over all of them."""
    mentions: Counter[str] = Counter()
    left = dict.fromkeys(KINDS, share)
    order = desk.rng_of("spans", spans[0].minutes).permutation(len(spans)).tolist()
    for done, number in enumerate(order):
        material = _material(desk, spans[number], known)
        if len(material.clues) < _FEWEST_CLUES:
            desk.reject(Reason.TOO_FEW_CLUES, f"{len(material.clues)} clues from {material.span.start_s:g} to "
                                              f"{material.span.end_s:g} s", None)
        most = {kind: min(desk.config.max_questions_per_kind, -(-count // (len(spans) - done)))
                for kind, count in left.items()}
        kept = list(_ask_span(desk, material, most, mentions))
        left = {kind: count - kept.count(kind) for kind, count in left.items()}
        if not kept and any(most.values()):
            desk.reject(Reason.NO_QUESTION_FITS, f"{len(material.clues)} clues from {material.span.start_s:g} to "
                                                 f"{material.span.end_s:g} s", None)


def _ask_span(
    desk: QuestionDesk, material: Material, most: dict[str, int], mentions: Counter[str]
) -> Iterator[str]:
    """Ask about one span, kind after kind in turns; yields the kind of each question that was kept."""
    rngs = {kind: desk.rng(material.span, kind) for kind in most}
    going = [kind for kind, count in most.items() if count]
    turn = 0
    while going:
        turn += 1
        for kind in list(going):
            kept = _ask_one(desk, material, kind, rngs[kind])
            if kept is None or turn == most[kind]:
                going.remove(kind)
            if kept is not None:
                yield kind
                names = phrases(kept.mentioned) or kept.question.split("\n")[1:]  # a counted event is no clue
                mentions.update(names)
                if any(mentions[name] >= desk.config.max_questions_per_clue for name in names):
                    material = _without_worn(material, mentions, desk.config.max_questions_per_clue)


def _ask_one(desk: QuestionDesk, material: Material, kind: str, rng: np.random.Generator) -> Draft | None:
    for _ in range(_MISSES):
        draft = KINDS[kind](material, rng)
        if draft is not None and desk.take(material, draft, rng):
            return draft
    return None


def _ask_to_describe(desk: QuestionDesk, share: int) -> None:
    subject = desk.subject
    runs = list(clip_runs(subject.clips, _DESCRIBED_CLIPS))
    chosen = desk.rng_of("describe").permutation(len(runs))[:share]
    for run in [runs[i] for i in sorted(chosen.tolist())]:
        rng = desk.rng(run, "describe")
        draft = describe(run, subject.clips, subject.captions, rng)
        if draft is not None:
            inside = clips_inside(subject.clips, run.first_clip, run.last_clip)
            desk.take(Material(span=run, clues=(), clips=inside, captions=subject.captions), draft, rng)


def _drop_guessed(desk: QuestionDesk, blind: BlindChecker) -> None:
    """Leave out what is answered without the video, all being asked at a time; a twin goes with its first."""
    put = [sample for sample in desk.asked.samples.values() if sample.options]
    guesses = blind.guess([
        # A twin is put in the same words and orders as its first, so that nobody is asked for it again.
        BlindQuestion(sample.kind, sample.question, sample.options, sample.answer_index,
                      seed=int((sample.twin_of or sample.sample_id)[:8], 16)) for sample in put])
    guessed = {sample.sample_id: found for sample, found in zip(put, guesses, strict=True)
               if beats_chance(found, len(sample.options))}
    for sample, found in zip(put, guesses, strict=True):
        if sample.sample_id in guessed or sample.twin_of in guessed:
            told = guessed.get(sample.sample_id, guessed.get(sample.twin_of))
            desk.reject(Reason.GUESSED_BLIND, f"{told.right} of {told.asked}: {sample.question}", sample.sample_id)
            del desk.asked.samples[sample.sample_id]
        else:
            desk.asked.samples[sample.sample_id] = replace(sample, blind_right=found.right, blind_asked=found.asked)


@dataclass(frozen=True, slots=True)
class _Known:
    """What of a whole video may be asked about."""

    clues: Sequence[Clue]
    actions: Sequence[Clue]
    followed: Mapping[str, str]


def _material(desk: QuestionDesk, span: Span, known: _Known) -> Material:
    subject = desk.subject
    is_whole = is_complete(span, subject.clips, subject.captions, desk.config.captions_complete)
    absent = [clue for clue in known.clues
              if (clue.clip_indexes[-1] < span.first_clip or clue.clip_indexes[0] > span.last_clip)
              and (is_whole or was_asked_everywhere(clue, len(subject.clips)))]
    absent = [absent[i] for i in sorted(desk.rng(span, "absent").permutation(len(absent))[:_ABSENT].tolist())]
    inside = clips_inside(subject.clips, span.first_clip, span.last_clip)
    return Material(
        span=span, clues=apart(_inside(known.clues, span)), absent=absent, actions=apart(_inside(known.actions, span)),
        clips=inside, captions=subject.captions, followed=known.followed, before=desk.before,
        open_share=desk.config.open_share,
        counted=counted_events(span, inside, subject.captions, absent) if is_whole else {})


def _inside(clues: Sequence[Clue], span: Span) -> list[Clue]:
    return [clue for clue in clues
            if span.first_clip <= clue.clip_indexes[0] and clue.clip_indexes[-1] <= span.last_clip
            and span.start_s <= clue.start_s and clue.end_s <= span.end_s]


def _without_worn(material: Material, mentions: Counter[str], most: int) -> Material:
    """Material without clues that were asked about often enough: they are neither right nor wrong any more."""
    def fresh(clues: Sequence[Clue]) -> list[Clue]:
        return [clue for clue in clues if mentions[phrase(clue)] < most]

    counted = {count: [text for text in texts if mentions[text] < most] for count, texts in material.counted.items()}
    return replace(material, clues=fresh(material.clues), actions=fresh(material.actions),
                   absent=fresh(material.absent), counted=counted)
