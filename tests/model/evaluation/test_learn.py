"""A small grid through every part: films, VICO, training, held-out questions, table, claims, plots."""

import json
import math
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from model.evaluation.ablation.ablate_command import run
from model.evaluation.ablation.grid_folders import GridFolders
from model.evaluation.ablation.read_grid import GRIDS, read_grid
from model.evaluation.answers import answer_spans
from model.evaluation.held_out import AskedSpan, StoredFrames, held_out_spans
from model.evaluation.methods.method import Method
from model.evaluation.methods.watch import encoded, watch
from model.evaluation.miniature_films import LOOKS, film_script, told
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from model.training.checkpoint_folder import newest_checkpoint
from model.training.run_lock import only_run
from model.training.run_log import read_log
from tests.model.evaluation.official_sets import OfficialSets

SEED = 0
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished small grid."""
    out = tmp_path_factory.mktemp("learn") / "out"
    assert run(["learn-small", "--out", str(out), "--jobs", "2", "--threads", "1"]) == 0
    return out


def test_loss_falls_in_every_run(learned: Path) -> None:
    folders = GridFolders(read_grid("learn-small"), learned)
    for name in folders.grid.runs:
        losses = [step["loss"] for folder in folders.rounds(SEED, name) for step in read_log(folder)]
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
    rows = {(cell.run, str(cell.way)) for cell in grid.all_cells()}
    assert (learned / "table.md").read_text().count("\n") == len(rows) + 3
    claims = (learned / "claims.md").read_text().splitlines()
    assert len(claims) == len(grid.claims) + 3
    assert claims[-1].startswith("| gate of find: 90 % of dev-needles at ratio 16 | no |")
    assert claims[-1].endswith("after 2 rounds |")


def test_what_is_done_is_not_done_again(learned: Path, capfd: pytest.CaptureFixture) -> None:
    made = [*learned.rglob("*.safetensors"), *learned.glob("*/**/*.parquet")]  # all but the tables of results
    kept = {path: path.stat().st_mtime_ns for path in made}
    cell = next(learned.glob(f"seed-{SEED}/vico/answers/*.jsonl"))
    before = cell.read_bytes()
    cell.unlink()
    assert run(["learn-small", "--out", str(learned), "--threads", "1"]) == 0
    assert cell.read_bytes() == before
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert "VICO beats" in capfd.readouterr().out


def test_a_gated_run_that_was_killed_in_its_second_round_goes_on(learned: Path, tmp_path: Path) -> None:
    """Killed before its first checkpoint: the round begins anew behind the first one, and ends the same."""
    out = tmp_path / "out"
    shutil.copytree(learned, out, ignore=shutil.ignore_patterns("vico*", "moments", "plain", "films", "stills"))
    for part in ("films", "stills"):
        shutil.copytree(learned / part, out / part)
    [ended] = (out / f"seed-{SEED}" / "find" / "round-2").rglob("model.safetensors")
    before = ended.read_bytes()
    for made in (ended.parents[1], out / f"seed-{SEED}" / "find" / "round-2" / "answers"):
        shutil.rmtree(made)
    (out / f"seed-{SEED}" / "find" / "round-2" / "trained.json").unlink()
    grid = {"base": {"grid": "learn-small", "runs": ["look", "find"]},
            "cells": [{"run": "find", "task": "order", "ratio": 16}]}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid))
    assert run([str(tmp_path / "grid.yaml"), "--out", str(out), "--threads", "1"]) == 0
    assert ended.read_bytes() == before


def test_each_round_sees_its_samples_in_another_order(learned: Path) -> None:
    one, two = (sorted((learned / f"seed-{SEED}" / "find" / f"round-{number}" / "samples").iterdir())[0].read_bytes()
                for number in (1, 2))
    assert one != two


@pytest.mark.parametrize(("change", "words", "run_that_differs"), [
    ({"choices": {"warmup": 0.5}}, "choices.warmup was {warmup} and is 0.5", "look"),
    ({"runs": {"find": {"gate": {"at_least": 0.01}}}}, "gate.at_least was {at_least} and is 0.01", "find")])
def test_a_grid_that_was_changed_is_not_mixed_up_with_what_is_there(
    learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture, change: dict, words: str, run_that_differs: str
) -> None:
    said = {"base": {"grid": "learn-small", "runs": ["look", "find"]}, **change,
            "cells": [{"run": "find", "task": "order", "ratio": 16}]}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(said))
    assert run([str(tmp_path / "grid.yaml"), "--out", str(learned)]) == 2
    complaint, grid = capsys.readouterr().err, read_grid("learn-small")
    assert words.format(warmup=grid.choices["warmup"], at_least=grid.runs["find"].gate.at_least) in complaint
    assert str(learned / f"seed-{SEED}" / run_that_differs) in complaint


def test_a_folder_in_use_is_left_alone(learned: Path) -> None:
    with only_run(learned):
        done = subprocess.run(
            [sys.executable, "-m", "model.evaluation.ablation.ablate_command", "learn-small", "--out", str(learned)],
            text=True, capture_output=True, timeout=100, cwd=ROOT, check=False)
    assert (done.returncode, "another process works on" in done.stderr) == (2, True)


def test_the_miniature_ablation_goes_through_on_a_smaller_base(
    learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Its cells as the file has them, in a copy of the small grid, where nothing is trained again."""
    cells = yaml.safe_load((GRIDS / "miniature.yaml").read_text())["cells"]
    tasks = {name: {**read_grid("learn").tasks[name].model_dump(), "questions": 8} for name in ("needles", "order")}
    base = {"grid": "learn-small", "runs": ["look", "find", "vico-first", "vico", "moments", "plain"]}
    grid = {"base": base, "tasks": tasks, "cells": cells}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid))
    out = tmp_path / "out"
    for part in ("films", "stills", f"seed-{SEED}"):
        shutil.copytree(learned / part, out / part, ignore=shutil.ignore_patterns("answers"))
    words = [str(tmp_path / "grid.yaml"), "--out", str(out), "--jobs", "2", "--threads", "1"]
    assert run([*words, "--plan"]) == 0
    assert "6 trainings, 6 done" in capsys.readouterr().out
    assert run(words) == 0
    rows = json.loads((out / "results.json").read_text())
    ways = {(row["method"], row["ratio"]) for row in rows if row["run"] == "vico"}
    assert ways == {("all", 1), *(("vst", ratio) for ratio in (2, 8, 16)), *(
        (method, ratio) for method in ("pool-time", "drop-frames") for ratio in (8, 16))}
    assert {row["task"] for row in rows} == {"needles", "order"}
    assert {tuple(row["trained_ratios"]) for row in rows if row["run"] == "plain"} == {(1,)}
    assert all(0 < row["questions"] <= 8 for row in rows)
    assert run([*words, "--plan"]) == 0
    assert f"{len(rows)} measurements, {len(rows)} done" in capsys.readouterr().out


def test_a_model_that_is_there_is_asked_a_benchmark_and_goes_on_where_it_was_stopped(
    learned: Path, tmp_path: Path, long_tests: bool
) -> None:
    sets = OfficialSets(tmp_path / "data")
    sets.mlvu_dev()
    sizes = {"frames": 16, "limit": 3} if not long_tests else {"frames": 16}
    said = {"runs": {"trained": {"init": "elsewhere"}}, "tasks": {"mlvu": {"benchmark": "mlvu-dev", **sizes}},
            "cells": [{"run": "trained", "task": "mlvu", "ratio": 8, "method": ["vst", "pool-time"]}]}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(said))
    checkpoint = newest_checkpoint(learned / f"seed-{SEED}" / "vico")[0]
    torchrun = f"{sys.executable} -m torch.distributed.run --nproc-per-node 2 --no-python"
    launch = torchrun if long_tests else "env LAUNCHED=1"
    words = [str(tmp_path / "grid.yaml"), "--out", str(tmp_path / "out"), "--data", str(sets.data), "--launch", launch,
             "--init", f"trained={checkpoint}", "--threads", "1", "--log-json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "model.evaluation.ablation.ablate_command", *words], text=True, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    begun = json.loads(process.stderr.readline())
    assert begun == {"event": "measure begins", "run": "trained", "seed": None, "cells": 2}
    process.send_signal(signal.SIGTERM)
    stopped = process.communicate(timeout=100)[1]
    assert (process.returncode, "the same command goes on" in stopped) == (4, True)
    assert not (tmp_path / "out" / "table.md").exists()

    assert run(words) == 0
    rows = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [(row["method"], row["ratio"], row["figure"], row["seeds"]) for row in rows] == [
        ("vst", 8, "overall", []), ("pool-time", 8, "overall", [])]
    answers = pq.read_table(
        tmp_path / "out" / "given" / "trained" / "answers" / "mlvu-pool-time-8" / "mlvu-dev" / "answers.parquet")
    assert set(answers["method"].to_pylist()) == {"pool-time:8"}
    assert set(answers["frames"].to_pylist()) == {16}


def test_single_moments_say_what_the_script_says(learned: Path) -> None:
    """Answers, held against the scripts of the films, which the data set was not made from."""
    folder, seeds = learned / "films" / "test", {}
    for row in _rows(folder / "moments", "videos"):
        seeds[row["video_id"]] = int(Path(row["source"]).stem)
    seconds, asked, forms = read_grid("learn-small").films["test"].seconds, 0, set()
    for sample in _rows(folder / "moments", "samples"):
        shown = {told(look): look for look in (
            LOOKS[event.text] for event in film_script(seeds[sample["video_id"]], seconds).events
            if event.start_s >= sample["span_start_s"] and event.end_s <= sample["span_end_s"])}
        assert sample["split"] == "test"
        if sample["kind"] == "find_colour":
            shape = sample["question"].split(" is the ")[1].strip("?")
            assert [colour for colour, one in shown.values() if one == shape] == [sample["answer"].lower().strip(".")]
        elif sample["kind"] == "find_shape":
            colour = sample["question"].split(" shape is ")[1].strip("?")
            assert [shape for one, shape in shown.values() if one == colour] == [sample["answer"].lower().strip(".")]
        elif sample["kind"] == "which_is_seen":
            lines = sample["question"].split("\n")
            options = sample["options"] or [line.removeprefix("- ") for line in lines[1:]]
            forms.add(sample["format"])
            assert [option in shown for option in options] == [option == sample["answer"] for option in options]
            assert len(options) == 4
        elif sample["kind"].startswith("list_by_"):
            of = 0 if sample["kind"] == "list_by_colour" else 1
            words = [" ".join((look[of], look[1 - of])) for look in shown.values()]
            assert sample["answer"].lower().strip(".").split(", ") == sorted(words)
        else:
            assert list(shown) == [sample["answer"]]
        asked += 1
    assert asked > 50
    assert forms == {"open", "multiple_choice"}


@pytest.mark.parametrize("way", ["vst:16", "all", "pool-time:4", "merge-frames:2"])
def test_an_answer_counts_as_right_just_if_the_model_gives_it(learned: Path, way: str) -> None:
    """What greedy decoding says of a question is exactly right; anything else is not."""
    method = Method.parse(way)
    folder = learned / "films" / "test"
    checkpoint = newest_checkpoint(learned / f"seed-{SEED}" / "moments")[0]
    model = VideoXLForConditionalGeneration.from_pretrained(checkpoint).eval()
    model.processor = processor = VideoXLProcessor.from_pretrained(checkpoint)
    frames, judged = StoredFrames(folder / "vico"), 0
    for span in held_out_spans([folder / "moments"], ["find_colour"], ["open"], 16, 10):
        memory = watch(model, method, encoded(model, frames.of(span)))
        for sample in span.samples:
            asked = sample["conversations"][0]["value"].removeprefix("<image>\n")
            said = model.answer(memory, asked, max_new_tokens=12)
            assert len(processor.ids(said)) < 12, "it stops where an answer ends"
            # Answers are given without the blank that a model of few steps may begin with.
            for answers, is_right in (((said, f" {said}"), True), ((f"{said} no",), False)):
                exact = []
                for answer in answers:
                    turns = [sample["conversations"][0], {"from": "gpt", "value": answer}]
                    one = AskedSpan(span.video_id, span.start_s, span.end_s, (sample | {"conversations": turns},))
                    [found] = answer_spans(model, processor, frames, [one], method)
                    exact.append(found.exact)
                assert any(exact) == is_right, answers
            judged += 1
    assert judged == 10


def _rows(folder: Path, table: str) -> list[dict]:
    paths = sorted((folder / "data" / table).glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]
