"""The question stage: spans of one video, questions of each kind about them, each checked."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.blind_check import BlindChecker, BlindQuestion, beats_chance
from pipeline.captioner import DecodedVideo
from pipeline.clock_check import Ground, agrees_with_clock
from pipeline.complete_truth import is_complete, was_asked_everywhere
from pipeline.kinds.all_kinds import KINDS, OF_COMPLETE_CAPTIONS, WITHOUT_OPTIONS
from pipeline.kinds.counts import counted_events
from pipeline.kinds.describe import describe
from pipeline.kinds.draft import Draft, Material, phrase, phrases
from pipeline.near_duplicates import NearDuplicates
from pipeline.options import apart, within_clips
from pipeline.record_files import write_records
from pipeline.spans import Span, clip_runs, clips_inside, spans_of, stretches
from pipeline.twins import twin_of
from pipeline.usable_clues import usable_actions, usable_clues
from pipeline.wording_check import wording_fault
from pipeline.work_store import key_of
from schemas.build_config import BuildConfig
from schemas.reasons import Reason, Stage
from schemas.records import Caption, Clip, Clue, Evidence, Rejection, Sample
from schemas.uniform_frames import smallest_budget

VERSION = "3"

_DESCRIBED_CLIPS = 4
_FEWEST_CLUES = 3
_MISSES = 6
"""Draws in a row without a new question after which a kind is done with a span."""
_ABSENT = 64
"""Most clues of the rest of the video that are said not to happen in a span."""


@dataclass(frozen=True, slots=True)
class Frames:
    """The stored frames of a video, by time."""

    indexes: np.ndarray
    """int64 [frames], their numbers."""
    clips: np.ndarray
    """int64 [frames], the clip that each lies in, rising."""

    def of_clip(self, clip_index: int) -> np.ndarray:
        """Numbers of the frames of a clip."""
        first, last = np.searchsorted(self.clips, [clip_index, clip_index + 1])
        return self.indexes[first:last]


@dataclass(frozen=True, slots=True)
class Subject:
    """One video with everything said of it."""

    video_id: str
    clips: list[Clip]
    captions: dict[int, Caption]
    clues: list[Clue]
    """All clues, kept or dropped."""
    frames: Frames
    orderer: str


@dataclass(slots=True)
class Asked:
    """What the question stage makes of a video."""

    samples: dict[str, Sample] = field(default_factory=dict)
    rejected: dict[str, Rejection] = field(default_factory=dict)


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
    desk = _Desk(config, subject)
    usable, rejected = usable_clues(subject.clues)
    desk.asked.rejected.update({f"{row.item_id} {row.reason}": row for row in rejected})
    actions = list(usable_actions(subject.clips, subject.captions, usable))
    spans = list(spans_of(subject.clips, config.spans_minutes, config.clip_seconds))
    levels = dict.fromkeys(span.minutes for span in spans)
    share = _share(config, len(levels))
    for level in levels:
        same_length = [span for span in spans if span.minutes == level]
        _ask_level(desk, same_length, usable, actions, share)
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


def _ask_level(
    desk: "_Desk", spans: Sequence[Span], usable: Sequence[Clue], actions: Sequence[Clue], share: int
) -> None:
    """Ask about spans of one length, `share` questions of each kind over all of them."""
    mentions: Counter[str] = Counter()
    left = dict.fromkeys(KINDS, share)
    order = _rng(desk.config.seed, desk.subject.video_id, "spans", spans[0].minutes).permutation(len(spans)).tolist()
    for done, number in enumerate(order):
        material = _material(desk, spans[number], usable, actions)
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
    desk: "_Desk", material: Material, most: dict[str, int], mentions: Counter[str]
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


def _ask_one(desk: "_Desk", material: Material, kind: str, rng: np.random.Generator) -> Draft | None:
    for _ in range(_MISSES):
        draft = KINDS[kind](material, rng)
        if draft is not None and desk.take(material, draft, rng):
            return draft
    return None


def _ask_to_describe(desk: "_Desk", share: int) -> None:
    subject = desk.subject
    runs = list(clip_runs(subject.clips, _DESCRIBED_CLIPS))
    chosen = _rng(desk.config.seed, subject.video_id, "describe").permutation(len(runs))[:share]
    for run in [runs[i] for i in sorted(chosen.tolist())]:
        rng = desk.rng(run, "describe")
        draft = describe(run, subject.clips, subject.captions, rng)
        if draft is not None:
            inside = clips_inside(subject.clips, run.first_clip, run.last_clip)
            desk.take(Material(span=run, clues=(), clips=inside, captions=subject.captions), draft, rng)


def _drop_guessed(desk: "_Desk", blind: BlindChecker) -> None:
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


def _material(desk: "_Desk", span: Span, usable: Sequence[Clue], actions: Sequence[Clue]) -> Material:
    subject = desk.subject
    is_known = is_complete(span, subject.clips, subject.captions, desk.config.captions_complete)
    absent = [clue for clue in usable
              if (clue.clip_indexes[-1] < span.first_clip or clue.clip_indexes[0] > span.last_clip)
              and (is_known or was_asked_everywhere(clue, len(subject.clips)))]
    absent = [absent[i] for i in sorted(desk.rng(span, "absent").permutation(len(absent))[:_ABSENT].tolist())]
    inside = clips_inside(subject.clips, span.first_clip, span.last_clip)
    return Material(
        span=span, clues=apart(_inside(usable, span)), absent=absent, actions=apart(_inside(actions, span)),
        clips=inside, captions=subject.captions, before=desk.before,
        counted=counted_events(span, inside, subject.captions, absent) if is_known else {})


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


class _Desk:
    """Where drafts of one video become samples, or rejections."""

    def __init__(self, config: BuildConfig, subject: Subject) -> None:
        self.config, self.subject, self.asked = config, subject, Asked()
        self.before = NearDuplicates()
        self._by_index = {clip.clip_index: clip for clip in subject.clips}

    def rng(self, span: Span, kind: str) -> np.random.Generator:
        """A generator that depends on the question's place alone, so that nothing else can shift it."""
        return _rng(self.config.seed, self.subject.video_id, span.first_clip, span.last_clip, kind)

    def reject(self, reason: Reason, detail: str, item_id: str | None) -> None:
        """Note what was left out; the same thing once."""
        row = Rejection(stage=Stage.QUESTIONS, reason=reason, detail=detail, video_id=self.subject.video_id,
                        item_id=item_id)
        self.asked.rejected[f"{item_id or detail} {reason}"] = row

    def take(self, material: Material, draft: Draft, rng: np.random.Generator) -> bool:
        """Check a draft and keep it, with a twin for some; whether it was kept."""
        ground = Ground({phrase(clue): (clue.start_s, clue.end_s) for clue in draft.mentioned}, material.clips,
                        self.subject.captions)
        sample = self._sample(material.span, draft)
        if sample.sample_id in self.asked.samples:
            return False
        fault = self._fault(sample, draft, ground)
        if fault is not None:
            self.reject(*fault, sample.sample_id)
            return False
        self.before.add(draft.kind, draft.about)
        self.asked.samples[sample.sample_id] = sample
        if rng.random() < self.config.twin_share:
            self._take_twin(sample, draft, ground, rng)
        return True

    def _sample(self, span: Span, draft: Draft) -> Sample:
        evidence = [
            Evidence(clue_id=clue_id, clip_index=index, start_s=self._by_index[index].start_s,
                     end_s=self._by_index[index].end_s)
            for clue_id, index in draft.evidence]
        starts = [item.start_s for item in evidence]
        question, options = draft.question, list(draft.options)
        if draft.is_open and options:
            question, options = "\n".join([question, *(f"- {option}" for option in options)]), []
        first, last = np.searchsorted(self.subject.frames.clips, [span.first_clip, span.last_clip + 1])
        return Sample(
            sample_id=key_of(draft.kind, self.subject.video_id, span.start_s, span.end_s, draft.evidence, question,
                             options),
            video_id=self.subject.video_id, kind=draft.kind, format="multiple_choice" if options else "open",
            question=question, options=options, answer=draft.answer,
            answer_index=draft.answer_index if options else None, span_start_s=span.start_s, span_end_s=span.end_s,
            min_frames=_min_frames(self.subject.frames.clips[first:last], evidence) or 0, evidence=evidence,
            distance_s=max(starts) - min(starts) if len(set(starts)) > 1 else None,
            similarity=max((clue.similarity for clue in draft.mentioned), default=0.0),
            captioner=self.subject.captions[evidence[0].clip_index].captioner, orderer=self.subject.orderer)

    def _fault(self, sample: Sample, draft: Draft, ground: Ground) -> tuple[Reason, str] | None:
        """The first check that a sample fails with the video at hand, and what to say of it."""
        if sample.min_frames == 0:
            return Reason.TOO_FEW_FRAMES, sample.question
        if not agrees_with_clock(sample, ground):
            return Reason.DISAGREES_WITH_CLOCK, sample.question
        wording = _wording_fault(draft)
        if wording is not None:
            return wording[0], f"{wording[1]}: {sample.answer}"
        if self.before.repeats(draft.kind, draft.about, draft.about_each):
            return Reason.NEAR_DUPLICATE, sample.question
        return None

    def _take_twin(self, sample: Sample, draft: Draft, ground: Ground, rng: np.random.Generator) -> None:
        clip_of = {phrase(clue): clue.clip_indexes[0] for clue in within_clips(draft.mentioned, self._by_index)}
        made = twin_of(sample, ground, clip_of, rng)
        if made is None:
            return
        twin, recut = made
        frames = {clip.clip_index: self.subject.frames.of_clip(clip.clip_index) for clip in recut.clips}
        shown = np.concatenate([np.full(len(frames[clip.clip_index]), place) for place, clip in enumerate(recut.clips)])
        places = {clip.clip_index: place for place, clip in enumerate(recut.clips)}
        evidence = sorted(twin.evidence, key=lambda item: places[item.clip_index])
        moved = [replace(item, clip_index=places[item.clip_index]) for item in evidence]
        starts = recut.starts()
        self.asked.samples[twin.sample_id] = replace(
            twin, evidence=evidence, min_frames=_min_frames(shown, moved),
            frame_indexes=np.concatenate([frames[clip.clip_index] for clip in recut.clips]).tolist(),
            distance_s=starts[evidence[-1].clip_index] - starts[evidence[0].clip_index])


def _wording_fault(draft: Draft) -> tuple[Reason, str] | None:
    """What is wrong with words that are no clue's: places in options, captions in answers."""
    if draft.kind == "place_changed":
        return next((fault for fault in map(wording_fault, draft.options) if fault), None)
    if draft.kind in ("describe", "say_what_follows"):
        return wording_fault(draft.answer, allowed=frozenset({Reason.ORDER_WORD}))
    return None


def _min_frames(frame_clips: np.ndarray, evidence: Sequence[Evidence]) -> int | None:
    """The smallest frame budget that shows every evidence clip twice; None if none does.

    Args:
        frame_clips: int64 [frames], the clip of each frame in the order shown, rising.
        evidence: clips that must be seen.
    """
    indexes = sorted({item.clip_index for item in evidence})
    firsts = np.searchsorted(frame_clips, indexes).tolist()
    lasts = np.searchsorted(frame_clips, indexes, side="right").tolist()
    return smallest_budget(len(frame_clips), list(zip(firsts, lasts, strict=True)))


def _rng(*place: object) -> np.random.Generator:
    digest = hashlib.sha256(" ".join(map(str, place)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
