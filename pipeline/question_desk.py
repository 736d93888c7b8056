"""Where the drafts of one video become samples, each checked, or rejections."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.clock_check import Ground, agrees_with_clock
from pipeline.kinds.draft import Draft, Material, phrase
from pipeline.near_duplicates import NearDuplicates
from pipeline.options import within_clips
from pipeline.spans import Span
from pipeline.twins import twin_of
from pipeline.wording_check import wording_fault
from pipeline.work_store import key_of
from schemas.build_config import BuildConfig
from schemas.reasons import Reason, Stage
from schemas.records import Caption, Clip, Clue, Evidence, Rejection, Sample
from schemas.uniform_frames import smallest_budget


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


class QuestionDesk:
    """Where drafts of one video become samples, or rejections."""

    def __init__(self, config: BuildConfig, subject: Subject) -> None:
        """
        Args:
            config: the choices.
            subject: the video.
        """
        self.config, self.subject, self.asked = config, subject, Asked()
        self.before = NearDuplicates()
        self._by_index = {clip.clip_index: clip for clip in subject.clips}

    def rng(self, span: Span, kind: str) -> np.random.Generator:
        """A generator that depends on the question's place alone, so that nothing else can shift it."""
        return self.rng_of(span.first_clip, span.last_clip, kind)

    def rng_of(self, *place: object) -> np.random.Generator:
        """The same for what is drawn once for the video, or for all its spans of one length."""
        words = " ".join(map(str, (self.config.seed, self.subject.video_id, *place)))
        return np.random.default_rng(int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big"))

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
