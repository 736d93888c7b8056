"""What `ablate` can be told: where things are, how many commands run at a time. The grid file says what is done."""

import shlex
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from model.evaluation.ablation.grid import Grid
from model.evaluation.ablation.grid_folders import GridFolders
from schemas.choices import LOG_JSON


class AblateChoices(BaseModel):
    """Choices of an ablation."""

    model_config = ConfigDict(extra="forbid")

    grid: Annotated[str, Field(min_length=1)]
    out: Annotated[str, Field(min_length=1, description="folder of the experiment; one that was begun goes on")]
    shards: Annotated[list[str], Field(
        description="folders that build-vico or import-instructions wrote, to train on")] = []
    data: Annotated[str, Field(description="folder that holds a folder for each benchmark")] = "."
    init: Annotated[list[str], Field(
        description="RUN=DIR: the model of a run of the grid that is not trained")] = []

    jobs: Annotated[int, Field(ge=1, description="commands at a time")] = 1
    threads: Annotated[int | None, Field(
        ge=1, description="threads of each command (OMP_NUM_THREADS); left out: as PyTorch has it")] = None
    launch: Annotated[str, Field(
        description="words in front of train-on-shards and evaluate-video-xl, such as 'torchrun --nproc-per-node 8 "
                    "--no-python'")] = ""
    plan: Annotated[bool, Field(description="say what is to be done, done, and missing; start nothing")] = False
    log_json: Annotated[bool, Field(description=LOG_JSON)] = False

    @field_validator("init")
    @classmethod
    def _are_pairs(cls, said: list[str]) -> list[str]:
        for pair in said:
            if not all(pair.partition("=")):
                raise ValueError(f"{pair!r} is not RUN=DIR")
        return said

    @field_validator("launch")
    @classmethod
    def _is_words(cls, said: str) -> str:
        shlex.split(said)
        return said

    @property
    def launch_words(self) -> list[str]:
        """The words of --launch."""
        return shlex.split(self.launch)

    def folders(self, grid: Grid) -> GridFolders:
        """Where the grid lies.

        Raises:
            ValueError: --init names a run that is trained, or none.
        """
        models = dict(pair.split("=", 1) for pair in self.init)
        for name in models:
            if name not in grid.runs or grid.runs[name].init is None:
                there = [run for run in grid.runs if grid.runs[run].init is not None]
                raise ValueError(f"--init {name}=...: the grid has no run of that name that is a model which is there "
                                 f"already; it has {', '.join(there) or 'none'}")
        return GridFolders(grid, Path(self.out).absolute(), [Path(path).absolute() for path in self.shards],
                           Path(self.data).absolute(), {name: Path(path) for name, path in models.items()})
