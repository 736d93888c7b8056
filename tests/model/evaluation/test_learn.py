"""A small grid through every part: films, VICO, training, held-out questions, table, claims, plots."""

import json
import math
from pathlib import Path

import pytest

from model.evaluation.grid import read_grid
from model.evaluation.grid_folders import round_folders
from model.evaluation.run_grid import main
from model.training.run_log import read_log

SEED = 0


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished small grid."""
    out = tmp_path_factory.mktemp("learn") / "out"
    assert main(["--grid", "learn-small", "--out", str(out), "--jobs", "2"]) == 0
    return out


def test_loss_falls_in_every_run(learned: Path) -> None:
    for name in read_grid("learn-small").runs:
        losses = [step["loss"] for folder in round_folders(learned, SEED, name) for step in read_log(folder)]
        assert all(map(math.isfinite, losses))
        assert sum(losses[-5:]) < sum(losses[:5]), name


def test_every_cell_is_filled(learned: Path) -> None:
    grid = read_grid("learn-small")
    results = json.loads((learned / "results.json").read_text())
    assert [(one["run"], one["task"], one["ratio"]) for one in results] == [
        (cell.run, cell.task, cell.ratio) for cell in grid.all_cells()]
    for one in results:
        assert 0 <= one["mean"] <= 1
        assert one["questions"] > 5
        assert len(one["of_seeds"]) == len(grid.seeds)
    assert (learned / "table.md").read_text().count("\n") == len(results) + 2
    assert (learned / "claims.md").read_text().count("\n") == len(grid.claims) + 2


def test_what_is_done_is_not_done_again(learned: Path, capfd: pytest.CaptureFixture) -> None:
    kept = {path: path.stat().st_mtime_ns for path in learned.rglob("*") if path.suffix in (".safetensors", ".parquet")}
    cell = next(learned.glob(f"seed-{SEED}/vico/answers/*.jsonl"))
    before = cell.read_bytes()
    cell.unlink()
    assert main(["--grid", "learn-small", "--out", str(learned), "--jobs", "1"]) == 0
    assert cell.read_bytes() == before
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert "VICO beats" in capfd.readouterr().out
