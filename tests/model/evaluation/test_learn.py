"""A small grid through every part: films, VICO, training, held-out questions, table, claims, plots."""

import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from model.evaluation.answers import answer_spans
from model.evaluation.grid import read_grid
from model.evaluation.grid_folders import round_folders
from model.evaluation.held_out import AskedSpan, StoredFrames, held_out_spans
from model.evaluation.miniature_films import LOOKS, film_script, told
from model.evaluation.run_grid import main
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from model.training.checkpoint_folder import newest_checkpoint
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


def test_single_moments_say_what_the_script_says(learned: Path) -> None:
    """Answers, held against the scripts of the films, which the data set was not made from."""
    folder, seeds = learned / "films" / "test", {}
    for row in _rows(folder / "moments", "videos"):
        seeds[row["video_id"]] = int(Path(row["source"]).stem)
    seconds, asked = read_grid("learn-small").films["test"].seconds, 0
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
            assert [option in shown for option in sample["options"]] == [
                place == sample["answer_index"] for place in range(4)]
        elif sample["kind"].startswith("list_by_"):
            words = [" ".join(look if sample["kind"] == "list_by_colour" else reversed(look)) for look in shown.values()]
            assert sample["answer"].lower().strip(".").split(", ") == sorted(words)
        else:
            assert list(shown) == [sample["answer"]]
        asked += 1
    assert asked > 50


def test_an_answer_counts_as_right_just_if_the_model_gives_it(learned: Path) -> None:
    """What greedy decoding says of a question is exactly right; anything else is not."""
    folder = learned / "films" / "test"
    checkpoint = newest_checkpoint(learned / f"seed-{SEED}" / "moments")[0]
    model = VideoXLForConditionalGeneration.from_pretrained(checkpoint).eval()
    model.processor = processor = VideoXLProcessor.from_pretrained(checkpoint)
    frames, judged = StoredFrames(folder / "vico"), 0
    for span in held_out_spans([folder / "moments"], ["find_colour"], ["open"], 16, 10):
        memory = model.compress(frames.of(span), ratio=16)
        for sample in span.samples:
            asked = sample["conversations"][0]["value"].removeprefix("<image>\n")
            said = model.answer(memory, asked, max_new_tokens=12)
            assert len(processor.ids(said)) < 12, "it stops where an answer ends"
            for answer, is_right in ((said, True), (f"{said} no", False)):
                turns = [sample["conversations"][0], {"from": "gpt", "value": answer}]
                one = AskedSpan(span.video_id, span.start_s, span.end_s, (sample | {"conversations": turns},))
                [found] = answer_spans(model, processor, frames, [one], 16)
                assert found.exact == is_right, answer
            judged += 1
    assert judged == 10


def _rows(folder: Path, table: str) -> list[dict]:
    paths = sorted((folder / "data" / table).glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]
