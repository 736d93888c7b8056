"""The command: choices, what is missing, bad input, exit codes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from model.training.run_lock import only_run
from model.training.train_choices import CONFIGS
from model.training.train_on_shards_command import read_command_line, run
from tests.model.training.hand_made_shards import frame, medium, sample, video_frames, write_data_set
from tests.model.training.small_runs import finish, logged, losses, start, write_config, write_shards


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("shards") / "made")


@pytest.fixture
def arguments(shards: Path, tmp_path: Path) -> list[str]:
    config = write_config(tmp_path, steps=2)
    return ["--shards", str(shards), "--out", str(tmp_path / "run"), "--config", str(config)]


def test_every_bundled_config_is_a_possible_choice():
    names = {path.stem for path in CONFIGS.glob("*.yaml")}
    assert names == {"tiny", "align-7b", "tune-7b"}
    read = {name: read_command_line(["--shards", "a", "b", "--out", "run", "--config", name]) for name in names}
    align, tune = read["align-7b"], read["tune-7b"]
    assert align.shards == ["a", "b"]
    assert (align.parts, align.ratio_choices, align.template, align.lr) == (["projector"], [1], "plain", 5e-4)
    assert (align.rows, align.warmup, align.weight_decay, align.epochs) == (8, 0.03, 0.0, 1)
    assert tune.parts == ["vision", "projector", "vst", "language_model"]
    assert (tune.ratio_choices, tune.template, tune.lr, tune.epochs) == ([2, 4, 8], "chat", 1e-5, 3)
    assert (tune.loss_average, tune.published_labels, tune.rows) == ("sample", True, 1)


def test_flags_are_stronger_than_the_file():
    chosen = read_command_line(
        ["--shards", "a", "--out", "run", "--config", "tiny", "--lr", "0.5", "--train", "vst", "projector", "--ratios",
         "4", "8", "--lora-rank", "2", "--published-labels"])
    assert (chosen.lr, chosen.parts, chosen.ratio_choices) == (0.5, ["vst", "projector"], [4, 8])
    assert chosen.lora_rank == 2
    assert chosen.published_labels


def test_a_list_may_be_given_in_several_flags():
    chosen = read_command_line(
        ["--shards", "a", "--shards", "b", "c", "--out", "run", "--config", "tiny", "--ratios", "2", "--ratios", "4",
         "8", "--train", "vst", "--train", "projector"])
    assert (chosen.shards, chosen.ratio_choices) == (["a", "b", "c"], [2, 4, 8])
    assert chosen.parts == ["vst", "projector"]


@pytest.mark.parametrize("wrong", [
    ["--stage", "other"], ["--train", "everything"], ["--lora-rank", "4", "--train", "language_model"],
    ["--init", "parts"], ["--lr", "-1"], ["--config", "nowhere.yaml"]])
def test_impossible_choices_are_wrong_calls(arguments, wrong, capsys):
    try:
        code = run([*arguments, *wrong])
    except SystemExit as stopped:  # argparse
        code = stopped.code
    assert code == 2
    assert capsys.readouterr().err


def test_a_dry_run_says_steps_and_memory_and_writes_nothing(arguments, tmp_path, capsys):
    assert run([*arguments, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "48 samples" in said
    assert "steps: 2 of 4 rows, 2 passes each" in said
    assert "memory of a device" in said
    assert not (tmp_path / "run").exists()


def test_a_dry_run_needs_no_gpu_and_a_run_without_one_says_so(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert run([*arguments, "--device", "cuda", "--dry-run"]) == 0
    assert "memory of a device" in capsys.readouterr().out
    assert run([*arguments, "--device", "cuda"]) == 2
    assert "--device cuda: PyTorch finds 0 GPUs here" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_dry_run_names_what_is_missing(arguments, shards, tmp_path, capsys):
    assert run([*arguments, "--dry-run", "--init", str(tmp_path / "no-model")]) == 2
    assert "missing:" in capsys.readouterr().out
    mixture = tmp_path / "mixture.yaml"
    mixture.write_text(yaml.safe_dump({"sources": [
        {"name": "here", "datasets": ["made"]}, {"name": "gone", "datasets": ["laion_2m"]}]}))
    assert run([*arguments, "--dry-run", "--mixture", str(mixture)]) == 2
    assert "missing: gone: laion_2m" in capsys.readouterr().out
    assert run([*arguments, "--mixture", str(mixture)]) == 2
    assert "laion_2m" in capsys.readouterr().err


def test_a_dry_run_names_all_that_is_missing_at_once(arguments, shards, tmp_path, capsys):
    mixture = tmp_path / "mixture.yaml"
    mixture.write_text(yaml.safe_dump({"sources": [
        {"name": "here", "datasets": ["made", "laion_2m"]}, {"name": "own", "kinds": ["told"], "shards": ["gone"]}]}))
    call = [*arguments, "--shards", str(tmp_path / "nothing"), "--mixture", str(mixture), "--dry-run"]
    parts = [f"missing: {tmp_path / 'gone'}: no finished data set", f"missing: {tmp_path / 'nothing'}: no finished",
             "missing: here: laion_2m", "missing: own: every data set"]
    assert run(call) == 2
    said = capsys.readouterr().out
    assert all(part in said for part in parts)
    assert "here: 48 samples" in said
    assert "steps: 2 of 4 rows" in said
    assert "memory of a device" in said
    assert run([*call, "--init", str(tmp_path / "no-model")]) == 2
    said = capsys.readouterr().out
    assert all(part in said for part in [f"missing: {tmp_path / 'no-model'}: no model there", *parts])
    assert "steps: 2 of 4 rows" in said
    assert "memory" not in said
    assert run(["--shards", str(tmp_path / "nothing"), *arguments[2:], "--dry-run"]) == 2
    said = capsys.readouterr().out
    assert "missing: everything: every data set" in said
    assert "steps: 2 of 4 rows" in said
    assert "memory" not in said


def test_folders_of_a_mixture_that_hold_no_data_set_are_named(arguments, shards, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    mixture = tmp_path / "mixture.yaml"
    mixture.write_text(yaml.safe_dump({"shards": ["empty"], "sources": [
        {"name": "here", "datasets": ["made"]}, {"name": "own", "kinds": ["told"], "shards": [str(shards), "gone"]}]}))
    assert run([*arguments, "--mixture", str(mixture)]) == 2
    told = capsys.readouterr().err
    assert run([*arguments, "--mixture", str(mixture), "--dry-run"]) == 2
    dry = capsys.readouterr().out
    for folder in (tmp_path / "empty", tmp_path / "gone"):
        assert f"{folder}: no finished data set" in told
        assert f"missing: {folder}: no finished data set" in dry
    assert "own: every data set" in told
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_done_has_nothing_left_to_do(arguments, tmp_path, capsys):
    assert run(arguments) == 0
    before = losses(tmp_path / "run")
    assert len(before) == 2
    assert run(arguments) == 0
    assert losses(tmp_path / "run") == before
    assert run([*arguments, "--lr", "0.5"]) == 2
    assert "lr: 0.01 there, 0.5 here" in capsys.readouterr().err


def test_a_run_whose_checkpoints_are_damaged_does_not_begin_anew(arguments, tmp_path, capsys):
    assert run([*arguments, "--steps", "4", "--checkpoint-steps", "2", "--max-minutes", "0.000001"]) == 4
    out = tmp_path / "run"
    call = [*arguments, "--steps", "4", "--checkpoint-steps", "2"]
    assert run(call) == 0
    whole = losses(out)
    older, newer = sorted((out / "checkpoints").iterdir())
    (newer / "config.json").write_text("{}")
    capsys.readouterr()
    assert run(call) == 0
    assert f"not gone on from, {newer}: config.json has 2 bytes in place of" in capsys.readouterr().err
    assert losses(out) == whole
    for folder in (out / "checkpoints").iterdir():
        (folder / "config.json").write_text("{}")
    for flags in ([], ["--dry-run"]):
        assert run([*call, *flags]) == 2
        assert f"{newer}: config.json has 2 bytes in place of" in capsys.readouterr().err
    assert losses(out) == whole
    assert older.is_dir()


def test_a_run_where_there_is_a_file_is_a_wrong_call(arguments, tmp_path, capsys):
    (tmp_path / "run").write_text("mine")
    assert run(arguments) == 2
    assert f"{tmp_path / 'run'} cannot be the folder of a run" in capsys.readouterr().err
    assert (tmp_path / "run").read_text() == "mine"


def test_adapters_and_captions_go_the_same_way(arguments, tmp_path):
    """Stage align on nothing but the projector, then adapters on what came of it."""
    assert run([*arguments, "--stage", "align", "--ratios", "1", "--most-questions", "1"]) == 0
    model = tmp_path / "run" / "checkpoints" / "step-00000002"
    flags = ["--init", str(model), "--out", str(tmp_path / "tuned"), "--lora-rank", "2", "--precision", "mixed"]
    assert run([*arguments, *flags]) == 0
    assert len(losses(tmp_path / "tuned")) == 2


def test_two_runs_do_not_share_a_folder(arguments, tmp_path, capfd):
    """Held by this process's child: a lock of our own process would not stop us."""
    code = ("import sys, time; from pathlib import Path; from model.training.run_lock import only_run\n"
            "with only_run(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)")
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[3])
    logs = [tmp_path / "run" / "samples" / f"rank-0000{rank}.jsonl" for rank in (0, 1)]
    try:
        assert holder.stdout.readline() == "held\n"
        logs[0].parent.mkdir()
        for log in logs:
            log.write_text('{"step": 1, "sample_ids": []}\n')
        assert run(arguments) == 2
        assert "another process works on" in capfd.readouterr().err
        config, shards = Path(arguments[-1]), Path(arguments[1])
        _, output = finish(start(tmp_path / "run", shards, config, "--rows", "1", ranks=2))
        assert "another process works on" in output
        assert all(log.read_text() for log in logs)
    finally:
        holder.kill()
        holder.wait()
    with only_run(tmp_path / "run"):  # let go of when the holder died
        pass


def test_a_truncated_table_is_named(arguments, shards, tmp_path, capsys):
    broken = shutil.copytree(shards, tmp_path / "broken")
    table = broken / "data" / "samples" / "train-00000.parquet"
    table.write_bytes(table.read_bytes()[:-40])
    assert run(["--shards", str(broken), *arguments[2:]]) == 2
    assert str(table) in capsys.readouterr().err


def test_shards_that_are_not_there_are_a_wrong_call(arguments, tmp_path, capsys):
    assert run(["--shards", str(tmp_path / "nothing"), *arguments[2:]]) == 2
    assert "nothing" in capsys.readouterr().err


def test_a_source_of_which_nothing_is_left_is_missing(arguments, shards, tmp_path, capsys):
    held_out = [sample(f"{number}", [], "Is it?", "Yes.", split="test") for number in range(6)]
    write_data_set(tmp_path / "held-out", held_out, [])
    mixture = tmp_path / "mixture.yaml"
    mixture.write_text(yaml.safe_dump({"sources": [
        {"name": "here", "shards": [str(shards)]}, {"name": "emptied", "shards": ["held-out"]}]}))
    epochs = str(write_config(tmp_path, epochs=1))
    out = ["--out", str(tmp_path / "run"), "--config", epochs]
    for data, name in (
        (["--mixture", str(mixture)], "emptied"), (["--shards", str(tmp_path / "held-out")], "everything"),
    ):
        assert run([*data, *out]) == 2
        assert f"{name}: no sample is left\nwhat was left out:\n" in capsys.readouterr().err
        assert run([*data, *out, "--dry-run"]) == 2
        said = capsys.readouterr().out
        assert f"missing: {name}: no sample is left\n" in said
        assert "left out, not_train: 6" in said
    assert not (tmp_path / "run").exists()


def test_too_many_pictures_that_do_not_decode_stop_the_run(tmp_path, capsys):
    films = [row for film in range(4) for row in video_frames(f"film{film}", 6)]
    films += [frame("bad", second, float(second), b"no picture") for second in range(6)]
    asked = [sample(f"{film}", [medium(film, 0, 6)], "<image>\nWhat?", "It.")
             for film in ("bad", "film0", "film1", "film2", "film3")]
    made = write_data_set(tmp_path / "made", asked, films)
    flags = ["--shards", str(made), "--config", str(write_config(tmp_path, epochs=1, rows_per_step=2))]
    assert run([*flags, "--out", str(tmp_path / "strict")]) == 3
    assert "bad" in capsys.readouterr().err
    assert run([*flags, "--out", str(tmp_path / "loose"), "--max-bad-fraction", "0.5"]) == 0
    assert "unusable, found while reading, picture_unreadable: 1\n" in capsys.readouterr().out


def test_samples_skipped_while_reading_are_told_of_over_all_ranks_and_epochs(tmp_path):
    films = [row for film in range(5) for row in video_frames(f"film{film}", 4)]
    films += [frame(f"bad{film}", second, float(second), b"no picture") for film in range(3) for second in range(4)]
    names = [f"film{film}" for film in range(5)] + [f"bad{film}" for film in range(3)]
    asked = [sample(name, [medium(name, 0, 4)], "<image>\nWhat?", "It.") for name in names]
    made = write_data_set(tmp_path / "made", asked, films)
    config = write_config(tmp_path, epochs=2, rows=1, rows_per_step=4, max_bad_fraction=0.375)  # 3 of 8
    code, output = finish(start(tmp_path / "run", made, config, ranks=2))
    assert code == 0, output
    assert "unusable, found while reading, picture_unreadable: 6\n" in output
    counts = [line["unusable_samples"] for line in logged(tmp_path / "run")]
    assert counts == sorted(counts)
    assert (counts[1], counts[3]) == (3, 6)  # two steps of four rows an epoch
    strict = write_config(tmp_path, epochs=2, rows=1, rows_per_step=4, max_bad_fraction=0.374)
    code, output = finish(start(tmp_path / "strict", made, strict, ranks=2))
    assert code == 1, output
    assert "3 samples are unusable, more than max_bad_fraction 0.374 allows (3.0)" in output


def test_rows_that_ranks_cannot_share_are_a_wrong_call(arguments, capsys):
    assert run([*arguments, "--rows", "3"]) == 2
    assert "multiple of 3" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
def test_ratios_that_the_model_was_not_made_for_are_a_wrong_call(arguments, flags, tmp_path, capsys):
    assert run([*arguments, "--ratios", "2", "3", *flags]) == 2
    assert "compression ratio 3 is not one of [2, 4, 8, 16]" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_samples_that_no_ratio_divides_are_counted_before_anything_is_trained(arguments, tmp_path, capsys):
    """Four tokens a frame: of 4, 5 and 6 frames, asked about 3, 3 and 2 times in each of five films, 4 fit 16."""
    assert run([*arguments, "--ratios", "16", "--dry-run"]) == 3
    assert "no_ratio_divides: 25" in capsys.readouterr().err
    assert run([*arguments, "--ratios", "16"]) == 3
    assert not (tmp_path / "run").exists()
    assert run([*arguments, "--ratios", "16", "--max-bad-fraction", "0.6"]) == 0
    assert "unusable, no_ratio_divides: 25" in capsys.readouterr().out
    assert len(losses(tmp_path / "run")) == 2


LITTLE_ROOM = """
import resource, sys
from model.training.train_on_shards_command import run
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, -1))
sys.exit(run(sys.argv[1:]))
"""


def test_a_log_that_cannot_be_written_is_a_clear_end(arguments, tmp_path):
    """No file may grow beyond 2000 bytes: the log is the first that would, long before there is a checkpoint."""
    call = [*arguments, "--steps", "12", "--checkpoint-steps", "100"]
    stopped = subprocess.run([sys.executable, "-c", LITTLE_ROOM, *call], cwd=Path(__file__).parents[3], text=True,
                             capture_output=True, timeout=120)
    assert stopped.returncode == 4, stopped.stderr
    # TensorBoard's own thread may have said something before.
    last = stopped.stderr.splitlines()[-1]
    assert re.search(r"the log of step \d+ could not be written: .*Make room in", last)
    assert run(call) == 0
    assert [step for step, _, _ in losses(tmp_path / "run")] == list(range(1, 13))


def test_a_budget_of_minutes_saves_and_stops(arguments, tmp_path):
    assert run([*arguments, "--max-minutes", "0.000001"]) == 4
    assert (tmp_path / "run" / "checkpoints" / "step-00000001").is_dir()
    assert run(arguments) == 0
    assert len(losses(tmp_path / "run")) == 2


def test_a_vico_build_teaches_a_tiny_model(sample_build, tmp_path, capsys):
    """What build-vico wrote, the configuration `tiny`, and the model that comes of it read back."""
    flags = ["--shards", str(sample_build), "--config", "tiny", "--steps", "3", "--workers", "0"]
    assert run([*flags, "--out", str(tmp_path)]) == 0
    assert "samples in" in capsys.readouterr().out
    found = losses(tmp_path)
    assert found[-1][1] < found[0][1]
    folder = tmp_path / "checkpoints" / "step-00000003"
    model = VideoXLForConditionalGeneration.from_pretrained(folder)
    model.processor = VideoXLProcessor.from_pretrained(folder)
    memory = model.compress((np.full((40, 60, 3), 9 * second, np.uint8) for second in range(9)), ratio=16)
    assert isinstance(model.answer(memory, "What came first?", max_new_tokens=3), str)
