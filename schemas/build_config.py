"""What can be chosen for a build. Stored with the output; secrets have no place in it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.source_choices import HOW_FETCHED, SourceChoices


class BuildConfig(SourceChoices, BaseModel):
    """Everything that decides what `build-vico` makes of a video, and how it runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    captioner: Annotated[Literal["measured", "file"], Field(
        description="who describes the clips: 'measured' says what it measures in the pixels, "
                    "'file' takes captions that exist already (--captions)")] = "measured"
    captions: Annotated[list[str], Field(
        description="caption files for 'file': JSONL or Parquet with video, start_s, end_s, text")] = []
    orderer: Annotated[Literal["clock"], Field(description="who orders the clues: 'clock' sorts by time")] = "clock"

    clip_seconds: Annotated[float, Field(gt=0, le=600, description="length of a clip")] = 14.0
    min_last_clip_seconds: Annotated[float, Field(ge=0, description="a shorter rest at the end is left out")] = 2.0
    max_hours: Annotated[float, Field(gt=0, le=48, description="longer videos are left out")] = 24.0
    caption_frames: Annotated[int, Field(ge=1, le=64, description="frames per clip for the captioner")] = 8
    caption_frame_side: Annotated[int, Field(ge=64, le=2160, description="their shorter side, pixels")] = 448
    frame_side: Annotated[int, Field(ge=32, le=2160, description="shorter side of the stored frames, pixels")] = 336
    jpeg_quality: Annotated[int, Field(ge=30, le=100, description="JPEG quality of all pictures")] = 88

    spans_minutes: Annotated[list[float], Field(
        description="lengths of the stretches that questions are about; the whole video is always one")] = [3, 10, 30]
    max_questions_per_kind: Annotated[int, Field(
        ge=1, le=1000, description="at most so many questions of a kind about one span")] = 12
    test_share: Annotated[float, Field(ge=0, le=1, description="share of the videos in the test split")] = 0.02
    buckets: Annotated[int, Field(ge=1, le=100_000, description="shards per table and split")] = 64
    seed: Annotated[int, Field(description="seed of every random choice")] = 0

    workers: Annotated[int, Field(ge=1, le=256, description="videos worked on at a time")] = 1
    decode_threads: Annotated[int, Field(ge=0, le=64, description="decoding threads per worker, 0: one a core")] = 0
    stall_seconds: Annotated[float, Field(
        gt=0, description="a decoder that makes no progress for so long is stopped")] = 60.0

    @field_validator("spans_minutes")
    @classmethod
    def _spans_positive(cls, spans: list[float]) -> list[float]:
        if any(not 0 < minutes <= 24 * 60 for minutes in spans):
            raise ValueError("every span must be longer than 0 and at most 1440 minutes")
        return sorted(set(spans))

    @model_validator(mode="after")
    def _captions_fit_captioner(self) -> "BuildConfig":
        if self.captioner == "file" and not self.captions:
            raise ValueError("captioner 'file' needs at least one caption file (--captions FILE)")
        if self.captioner != "file" and self.captions:
            raise ValueError(f"captions are given, but captioner '{self.captioner}' does not read them; "
                             "add --captioner file")
        return self

    @model_validator(mode="after")
    def _last_clip_is_a_clip(self) -> "BuildConfig":
        if self.min_last_clip_seconds > self.clip_seconds:
            raise ValueError("min_last_clip_seconds is larger than clip_seconds: no clip would be left")
        return self

    def without_machine(self) -> dict[str, object]:
        """The choices that can change a byte of the output; how many workers there were cannot."""
        return self.model_dump(mode="json", exclude={"workers", "decode_threads", "stall_seconds"} | HOW_FETCHED)
