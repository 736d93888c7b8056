"""Tables of a grid from answers that were written by hand, held against numbers computed by hand."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from model.evaluation.ablation.cell_results import CellResult, NoSuchFigureError
from model.evaluation.ablation.claims import judge
from model.evaluation.ablation.grid import Cell, Claim, Grid
from model.evaluation.ablation.grid_folders import GridFolders, benchmark_answers, film_answers
from model.evaluation.ablation.kinds_table import kinds_table
from model.evaluation.ablation.read_grid import read_grid
from model.evaluation.ablation.result_files import write_results
from model.evaluation.accuracy import estimate, over_seeds
from model.evaluation.answer_files import AnswerFiles
from model.evaluation.answers import Answered
from model.evaluation.task import AnswerRow

FILMS = {"films": "test", "kinds": ["order_events"], "span_seconds": 16, "questions": 4}
GRID = {
    "films": {"test": {"first_seed": 0, "count": 2, "seconds": 16}}, "span_seconds": 16, "seeds": [0, 1],
    "choices": {"init": "base", "steps": 5},
    "runs": {"plain": {"sources": [{"name": "moments"}], "choices": {"ratios": [1]}},
             "vico": {"sources": [{"name": "moments"}, {"name": "vico"}], "choices": {"ratios": [2, 8, 16, 16]}}},
    "tasks": {"order": FILMS, "mme": {"benchmark": "mme", "figures": ["perception", "kind: *"]}},
    "cells": [{"run": "plain", "task": "order", "ratio": 1}, {"run": "vico", "task": ["order", "mme"], "ratio": 16}],
    "claims": [
        {"says": "VICO is better", "kind": "above", "cell": {"run": "vico", "task": "order", "ratio": 16},
         "other": {"run": "plain", "task": "order", "ratio": 1}},
        {"says": "60 points behind at most", "kind": "within",
         "cell": {"run": "plain", "task": "order", "ratio": 1},
         "other": {"run": "vico", "task": "order", "ratio": 16}, "margin": 0.6},
        {"says": "at chance", "kind": "chance", "cell": {"run": "plain", "task": "order", "ratio": 1}},
        {"says": "1400 points", "kind": "at_least", "cell": {"run": "vico", "task": "mme", "ratio": 16},
         "margin": 1400}],
    "published": [{"run": "vico", "task": "mme", "ratio": 16, "value": 1510.2}], "published_in": "a note"}


def write_films(
    run: Path, cell: Cell, right: dict[tuple[str, str], bool], kinds: dict[str, tuple[str, float]] | None = None
) -> None:
    """Answers about films: right or not, by video and question; kinds with their chance, by question."""
    file, kinds = film_answers(run, cell), kinds or {}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(
        json.dumps(Answered(video, name, kind, is_right, is_right, chance).row()) + "\n"
        for (video, name), is_right in right.items() for kind, chance in [kinds.get(name, ("order_events", 0.25))]))


def write_benchmark(run: Path, cell: Cell, figures: list[dict]) -> None:
    """Answers and figures of a benchmark."""
    files = AnswerFiles(benchmark_answers(run, cell) / "mme")
    with files.writing({}):
        files.add([AnswerRow("mme", "1", "a", "?", [], "yes", "yes_no", {}, "yes", "yes", 1.0, 1, 1, "16", "vst", "")])
    files.write_json("results.json", {"figures": [{"questions": 1, "videos": 1} | figure for figure in figures]})


@pytest.fixture
def folders(tmp_path: Path) -> GridFolders:
    """A grid of which everything was measured."""
    folders = GridFolders(Grid.model_validate(GRID), tmp_path)
    order, plain = Cell(run="vico", task="order", ratio=16), Cell(run="plain", task="order", ratio=1)
    names = [("a", "1"), ("a", "2"), ("b", "3"), ("b", "4")]
    for seed, answers in ((0, "1011"), (1, "1111")):
        right = {name: one == "1" for name, one in zip(names, answers, strict=True)}
        write_films(folders.run(seed, "vico"), order, right)
        write_films(folders.run(seed, "plain"), plain, {name: name[0] == "a" for name in names})
        for name in folders.grid.runs:
            (folders.run(seed, name) / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    mme = Cell(run="vico", task="mme", ratio=16)
    for seed, mean, half in ((0, 1500.0, 100.0), (1, 1520.0, 60.0)):
        perception = {"name": "perception", "mean": mean, "low": mean - half, "high": mean + half}
        write_benchmark(folders.run(seed, "vico"), mme, [
            perception, {"name": "kind: count", "mean": 150.0, "low": None, "high": None},
            {"name": "cognition", "mean": 300.0, "low": 290.0, "high": 310.0}])
    return folders


def test_the_table_says_what_a_hand_computes(folders: GridFolders) -> None:
    """Order of VICO: questions score 1, 1/2, 1, 1 over the seeds, mean 7/8; the sums of the videos are 1/4 off, so the
    variance of the mean is 2/1 x (1/16 + 1/16) / 16, and half the interval t/8 (Student's t for two videos is 12.706).
    Of plain, video a is right and b is wrong: 2/1 x (1 + 1) / 16, t/2. Intervals of MME are 100 and 60 to each side, 80
    in the mean.
    """
    write_results(folders)
    lines = (folders.out / "table.md").read_text().splitlines()
    assert [line.strip("| ").split(" | ") for line in lines[:1] + lines[2:4]] == [
        ["run", "trained on", "at ratios", "looks by", "ratio", "order", "mme", "mme, kind: count"],
        ["plain", "moments", "none", "all", "none", "50.0 ± 635.3 (50.0 50.0)", "", ""][:6],
        ["vico", "moments + vico", "2 8 16", "vst", "16", "87.5 ± 158.8 (75.0 100.0)",
         "1510.0 ± 80.0 (1500.0 1520.0); published 1510.2", "150.0 (150.0 150.0)"]]
    assert lines[4].split("|")[1:7] == [" chance ", *["  "] * 4, " 25.0 "]
    assert lines[-1] == "Published: a note"


def test_json_and_parquet_hold_the_same(folders: GridFolders) -> None:
    write_results(folders)
    rows = json.loads((folders.out / "results.json").read_text())
    assert pq.read_table(folders.out / "results.parquet").to_pylist() == rows
    by_name = {(row["run"], row["task"], row["figure"]): row for row in rows}
    assert len(by_name) == 4
    order = by_name["vico", "order", ""]
    assert order["mean"] == 0.875
    assert order["high"] - order["mean"] == pytest.approx(12.7062 / 8)
    assert (order["of_seeds"], order["seeds"]) == ([0.75, 1.0], [0, 1])
    assert (order["trained_on"], order["trained_ratios"]) == (["moments", "vico"], [2, 8, 16])
    points = by_name["vico", "mme", "perception"]
    assert (points["low"], points["high"], points["unit"], points["published"]) == (1430, 1590, "points", 1510.2)
    assert by_name["vico", "mme", "kind: count"]["low"] is None


def test_claims_are_judged_question_by_question(folders: GridFolders) -> None:
    """VICO less plain: 0, -1/2 of video a, 1, 1 of video b; mean 3/8, sums 5/4 off, half t x sqrt(2 x 25/8) / 4."""
    write_results(folders)
    lines = (folders.out / "claims.md").read_text().splitlines()[2:]
    assert lines == [
        "| VICO is better | no | 37.5 | -756.6 to 831.6 |",
        "| 60 points behind at most | no | -37.5 | -831.6 to 756.6 |",
        "| at chance | no | 50.0 | -585.3 to 685.3 |", "| 1400 points | yes | 1510.0 | 1430.0 to 1590.0 |"]


def test_exactly_as_many_as_claimed_is_enough_however_thirds_are_rounded() -> None:
    cell = Cell(run="vico", task="order", ratio=16)
    claim = Claim.model_validate({"says": "95 %", "kind": "at_least", "cell": cell.model_dump(), "margin": 0.95})
    for right, holds in (((1113, 1127, 1180), True), ((1113, 1127, 1179), False)):
        seeds = [{(f"{number // 4}", f"{number}"): float(number < of_seed) for number in range(1200)}
                 for of_seed in right]
        scores = over_seeds(seeds)
        result = CellResult(cell, "", True, (), estimate(scores), None, None, "share", scores)
        assert judge(claim, {cell: result})[0] == holds


def test_right_answers_are_counted_by_kind(folders: GridFolders) -> None:
    """Seed 0 has two of three storylines and no pick right, seed 1 all three and the pick."""
    write_results(folders)
    assert (folders.out / "kinds.md").read_text() == ""
    task = FILMS | {"kinds": ["storyline", "first_or_last"]}
    grid = {key: value for key, value in GRID.items() if key not in ("claims", "published")} | {
        "tasks": {"order": task}, "cells": [{"run": "vico", "task": "order", "ratio": 16}]}
    kinds = dict.fromkeys("123", ("storyline", 0.25)) | {"4": ("first_or_last", 0.4)}
    for seed, answers in ((0, "1010"), (1, "1111")):
        right = {("a", name): one == "1" for name, one in zip("1234", answers, strict=True)}
        write_films(folders.run(seed, "vico"), Cell(run="vico", task="order", ratio=16), right, kinds)
    assert kinds_table(GridFolders(Grid.model_validate(grid), folders.out)).splitlines() == [
        "| order | looks by | ratio | first_or_last, 1 asked | storyline, 3 asked |", "| --- | --- | --- | --- | --- |",
        "| vico | vst | 16 | 50.0 (0.0 100.0) | 83.3 (66.7 100.0) |", "| chance |  |  | 40.0 | 25.0 |"]


def test_plots_are_vectors_and_pictures(folders: GridFolders) -> None:
    write_results(folders)
    for name in ("accuracy", "loss"):
        assert "<svg" in (folders.out / f"{name}.svg").read_text()
        assert (folders.out / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_that_is_not_there_is_named(folders: GridFolders) -> None:
    wrong = GRID | {"tasks": GRID["tasks"] | {"mme": {"benchmark": "mme", "figures": ["overall"]}}}
    with pytest.raises(NoSuchFigureError, match="task mme has no figure 'overall': there are perception, kind: count"):
        write_results(GridFolders(Grid.model_validate(wrong), folders.out))


def test_the_grid_that_is_written_beside_the_results_is_the_same_grid(folders: GridFolders) -> None:
    write_results(folders)
    assert read_grid(str(folders.out / "grid.yaml")) == folders.grid
