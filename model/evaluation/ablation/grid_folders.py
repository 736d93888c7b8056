"""Where everything of a grid lies.

    OUT/films/{data set}/      films, captions, vico/ (what build-vico makes of them), moments/
    OUT/stills/                pictures and their captions, tables/ (what import-instructions makes of them)
    OUT/seed-N/{run}/          a folder of train-on-shards, and answers/; a gated run has round-1/, round-2/ ...
    OUT/given/{run}/           answers/ of a model that was there
    .../answers/{task}-{way}.jsonl           of a task about films
    .../answers/{task}-{way}/{benchmark}/    of a benchmark: what evaluate-video-xl writes
    OUT/table.md, claims.md, kinds.md, results.json, results.parquet, accuracy.svg, loss.svg (and .png)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from model.evaluation.ablation.grid import Cell, Grid
from model.training.checkpoint_folder import newest_checkpoint


@dataclass(frozen=True)
class GridFolders:
    """The folders of one grid.

    Attributes:
        grid: what is done.
        out: folder of the experiment.
        more_shards: folders of shards beside those that the grid names.
        data: folder of the benchmarks, as `evaluate-video-xl --data` has it.
        models: folders of models that are there, by run; they stand over the grid's.
    """

    grid: Grid
    out: Path
    more_shards: Sequence[Path] = ()
    data: Path = Path()
    models: Mapping[str, Path] = field(default_factory=dict)

    def films(self, name: str) -> Path:
        """Folder of a data set of generated films."""
        return self.out / "films" / name

    def sets_of_films(self, name: str) -> list[Path]:
        """Shards about the films of a data set: VICO, and single moments."""
        return [self.films(name) / "vico", self.films(name) / "moments"]

    @property
    def stills(self) -> Path:
        """Folder of the generated pictures; tables/ holds their shards."""
        return self.out / "stills"

    @property
    def given_shards(self) -> list[Path]:
        """Shards that must be there."""
        return [*map(Path, self.grid.shards), *self.more_shards]

    @property
    def shards(self) -> list[Path]:
        """All shards that are trained on."""
        stills = [self.stills / "tables"] if self.grid.stills else []
        films = self.sets_of_films("train") if "train" in self.grid.films else []
        return [*stills, *films, *self.given_shards]

    def given_model(self, run: str) -> Path | None:
        """Folder of the model of a run that is not trained."""
        said = self.grid.runs[run].init
        return None if said is None else self.models.get(run, Path(said))

    def run(self, seed: int | None, name: str) -> Path:
        """Folder of one run."""
        return self.out / ("given" if seed is None else f"seed-{seed}") / name

    def rounds(self, seed: int | None, name: str) -> list[Path]:
        """Folders of one run in the order in which they were trained: several if it has a gate."""
        folder = self.run(seed, name)
        rounds = sorted(folder.glob("round-*"), key=lambda path: int(path.name.removeprefix("round-")))
        return rounds or [folder]

    def last_round(self, seed: int | None, name: str) -> Path:
        """Folder of one run, of its last round if it has several."""
        return self.rounds(seed, name)[-1]

    def checkpoint(self, seed: int | None, name: str) -> Path:
        """Folder of the model that a run ended with, once it is done."""
        return self.given_model(name) or newest_checkpoint(self.last_round(seed, name))[0]


def film_answers(run: Path, cell: Cell) -> Path:
    """Where the answers of a cell about films lie."""
    return run / "answers" / f"{_name(cell)}.jsonl"


def benchmark_answers(run: Path, cell: Cell) -> Path:
    """Where those of a benchmark lie: the --out of evaluate-video-xl."""
    return run / "answers" / _name(cell)


def _name(cell: Cell) -> str:
    return f"{cell.task}-{str(cell.way).replace('::', '-').replace(':', '-')}"
