"""What can be chosen for an import of instruction data."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.choices import LOG_JSON

_OF_THE_MACHINE = {"records", "media", "out", "workers", "decode_threads", "stall_seconds", "log_json"}


class ImportConfig(BaseModel):
    """Everything that decides what `import-instructions` makes of records and media, and how it runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    records: Annotated[list[str], Field(
        min_length=1, description="JSON lists, or files with a JSON object in each line")]
    media: Annotated[str | None, Field(
        description="folder that the paths in the records are relative to; nothing outside it is read")] = None
    dataset: Annotated[str, Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="name of the data set, column `dataset`")]
    out: Annotated[str, Field(min_length=1, description="output folder; an import that was stopped there goes on")]
    language: Annotated[str, Field(min_length=2, description="language of the words")] = "en"
    license: Annotated[str | None, Field(description="licence of the media")] = None

    frame_side: Annotated[int, Field(
        ge=32, le=2160, description="shorter side of the frames of videos, pixels; images keep their size")] = 336
    jpeg_quality: Annotated[int, Field(ge=30, le=100, description="JPEG quality of the frames of videos")] = 88
    max_hours: Annotated[float, Field(gt=0, le=48, description="longer videos are left out")] = 24.0
    buckets: Annotated[int, Field(ge=1, le=100_000, description="shards per table")] = 64

    workers: Annotated[int, Field(ge=1, le=256, description="media read at a time")] = 1
    decode_threads: Annotated[int, Field(ge=0, le=64, description="decoding threads per worker, 0: one a core")] = 0
    stall_seconds: Annotated[float, Field(
        gt=0, description="a decoder that makes no progress for so long is stopped")] = 60.0
    log_json: Annotated[bool, Field(description=LOG_JSON)] = False

    def without_machine(self) -> dict[str, object]:
        """The choices that can change a byte of the output."""
        return self.model_dump(mode="json", exclude=_OF_THE_MACHINE)
