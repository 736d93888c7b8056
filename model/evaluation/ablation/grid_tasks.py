"""What the runs of a grid are asked: questions about generated films, or a benchmark of `evaluate-video-xl`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag, field_validator

from model.evaluation.tasks import all_tasks


class FilmTask(BaseModel, extra="forbid", frozen=True):
    """Questions about generated films."""

    films: Annotated[str, Field(description="data set")]
    kinds: Annotated[list[str], Field(min_length=1, description="kinds of samples")]
    formats: Annotated[list[Literal["multiple_choice", "open"]], Field(description="forms of samples")] = [
        "multiple_choice", "open"]
    span_seconds: Annotated[int, Field(description="length of the stretches that are asked about")]
    questions: Annotated[int, Field(ge=1, description="most questions")]
    frames: Annotated[Literal["shown", "shuffled", "black"], Field(
        description="what the model sees: the frames, the same ones in a random order, or nothing")] = "shown"


class BenchmarkTask(BaseModel, extra="forbid", frozen=True):
    """A task of `evaluate-video-xl`, its files under `--data`."""

    benchmark: Annotated[str, Field(description="name of --task")]
    frames: Annotated[int | None, Field(ge=1, description="as --frames; left out: the benchmark's own")] = None
    fps: Annotated[float | None, Field(gt=0, description="as --fps")] = None
    limit: Annotated[int | None, Field(ge=1, description="as --limit: the first videos only")] = None
    figures: Annotated[list[str], Field(
        description="figures of results.json that become columns, 'kind: *' all that begin so; left out: its first")
    ] = []

    @field_validator("benchmark")
    @classmethod
    def _is_there(cls, name: str) -> str:
        if name not in all_tasks():
            raise ValueError(f"evaluate-video-xl has no task {name!r}: there are {', '.join(all_tasks())}")
        return name

    @property
    def unit(self) -> Literal["share", "points"]:
        """MME counts points, all others shares of what is right."""
        return "points" if self.benchmark == "mme" else "share"


def _which(task: Any) -> str:
    asks_benchmark = isinstance(task, BenchmarkTask) or (isinstance(task, dict) and "benchmark" in task)
    return "benchmark" if asks_benchmark else "films"


GridTask = Annotated[
    Annotated[FilmTask, Tag("films")] | Annotated[BenchmarkTask, Tag("benchmark")], Discriminator(_which)]
"""Which of the two it is shows in whether it names a benchmark: so a mistake in it is told of that one alone."""
