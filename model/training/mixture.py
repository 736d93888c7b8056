"""Which samples are trained on, and how often: the mixture file."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.faults import faults_in

BUNDLED = Path(__file__).parent / "mixtures"

TrainingStage = Literal["align", "tune"]


class MixtureError(Exception):
    """The mixture cannot be used; the message says why and what would help."""


class MixtureSource(BaseModel):
    """Samples that are treated alike."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, Field(min_length=1, description="how messages call it")]
    datasets: Annotated[list[str] | None, Field(
        min_length=1, description="names of data sets, column `dataset`; left out: all that are there")] = None
    kinds: Annotated[list[str] | None, Field(
        min_length=1, description="kinds of samples, column `kind`; left out: all")] = None
    shards: Annotated[list[str] | None, Field(
        min_length=1, description="shard directories, relative to the mixture file; left out: --shards")] = None
    stage: Annotated[TrainingStage | None, Field(description="only in this stage; left out: in both")] = None
    weight: Annotated[float, Field(
        gt=0, le=1000, description="how often a row is seen in an epoch: 0.5: half of them, in the next epoch the "
                                   "other half; 2: each twice")] = 1.0
    cap: Annotated[int | None, Field(ge=1, description="at most so many samples, always the same ones")] = None
    most_frames: Annotated[int, Field(
        ge=1, description="frames of a stretch: one a second up to so many, above it so many, evenly")] = 128
    images: Annotated[Literal["tiled", "whole"], Field(
        description="'tiled': at their own size, cut into tiles; 'whole': one crop, like a frame")] = "tiled"

    def takes(self, dataset: str, kind: str) -> bool:
        """Whether samples of a data set and kind belong to this source, where its folders hold them."""
        return (self.datasets is None or dataset in self.datasets) and (self.kinds is None or kind in self.kinds)


class Mixture(BaseModel):
    """All sources of a training run."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    sources: Annotated[list[MixtureSource], Field(min_length=1)]
    shards: Annotated[list[str], Field(
        description="shard directories of sources that name none, relative to the mixture file")] = []

    @model_validator(mode="after")
    def _names_differ(self) -> "Mixture":
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sources are called {twice[0]!r}: give each a name of its own")
        return self

    @property
    def folders(self) -> list[Path]:
        """The shard directories of all sources, each once."""
        return list(dict.fromkeys(folder for source in self.sources for folder in self.folders_of(source)))

    def folders_of(self, source: MixtureSource) -> list[Path]:
        """The shard directories of one of the sources, each in one spelling."""
        return [Path(folder).resolve() for folder in (self.shards if source.shards is None else source.shards)]

    def for_stage(self, stage: TrainingStage) -> "Mixture":
        """The sources of one stage.

        Raises:
            MixtureError: there are none.
        """
        sources = [source for source in self.sources if source.stage in (None, stage)]
        if not sources:
            raise MixtureError(f"no source of the mixture belongs to the stage {stage!r}")
        return self.model_copy(update={"sources": sources})


def everything(shards: list[str], most_frames: int = 128) -> Mixture:
    """The mixture that takes every sample of some shard directories."""
    return Mixture(sources=[MixtureSource(name="everything", most_frames=most_frames)], shards=shards)


def read_mixture(name: str, shards: list[str]) -> Mixture:
    """Read a mixture file.

    Args:
        name: a path, or the name of a mixture that comes with the package ("published").
        shards: more shard directories for sources that name none, relative to where the process runs.

    Raises:
        MixtureError: it is not there, no YAML, or says something impossible; names the place.
    """
    path = Path(name)
    if not path.suffix and (BUNDLED / f"{name}.yaml").is_file():
        path = BUNDLED / f"{name}.yaml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        bundled = ", ".join(sorted(file.stem for file in BUNDLED.glob("*.yaml")))
        raise MixtureError(f"mixture {name}: {error}; the package brings: {bundled}") from error
    if not isinstance(values, dict) or not values.get("sources"):
        raise MixtureError(f"mixture {name}: it names no sources: write them under `sources:`, a list with a name each")
    try:
        mixture = Mixture.model_validate(values)
    except ValidationError as error:
        raise MixtureError("\n  - ".join([f"mixture {name}:", *faults_in(error, "mixture")])) from error

    def beside_it(folders: list[str]) -> list[str]:
        return [str(path.parent / folder) for folder in folders]

    sources = [
        source if source.shards is None else source.model_copy(update={"shards": beside_it(source.shards)})
        for source in mixture.sources
    ]
    return mixture.model_copy(update={"sources": sources, "shards": [*beside_it(mixture.shards), *shards]})
