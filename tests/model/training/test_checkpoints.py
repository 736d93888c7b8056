"""Checkpoints: whole or not there, for their own run only, loadable by anyone."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from model.training.checkpoint import (
    OtherRunError,
    Position,
    checkpoint_to_resume,
    restore_optimiser,
    save_checkpoint,
)
from model.training.checkpoint_folder import (
    NoWholeCheckpointError,
    RunNotWrittenError,
    newest_checkpoint,
    passed_over,
)
from model.training.optimiser import make_optimiser, set_learning_rate
from model.training.ranks import Ranks
from model.training.run_log import RunLog, read_log
from model.training.tensor_files import TensorFiles, stored_tensors
from model.training.train import prepared_model
from model.training.train_choices import TrainChoices
from model.training.training_step import StepSettings, forward_backward, update
from tests.model.tiny_models import byte_tokenizer, tiny_model
from tests.model.training.made_batches import made_row

ALONE = Ranks(0, 1, torch.device("cpu"), None)
SETTINGS = {"lr": 1e-3, "seed": 0}


@pytest.fixture
def trained(processor):
    """A model and its optimiser behind one step."""
    model = tiny_model().train()
    optimiser = make_optimiser(model, 0.0)
    set_learning_rate(optimiser, 1e-3)
    learn(model, optimiser, 1)
    return model, optimiser


def learn(model, optimiser, row: int) -> None:
    how = StepSettings(ratios=[4])
    forward_backward(model, [made_row(row)], lambda _: [4], how, ALONE)
    update(model, optimiser, 1.0)


def save(run: Path, trained, processor, step: int, keep: int = 2) -> None:
    position = Position(step, [{"next": step}])
    save_checkpoint(run, *trained, processor, position, SETTINGS, ALONE, keep)


def test_what_was_saved_is_loaded_and_learns_on_to_the_same_bits(trained, processor, tmp_path):
    model, optimiser = trained
    save(tmp_path, trained, processor, 1)
    folder, position = checkpoint_to_resume(tmp_path, SETTINGS)
    assert position == Position(1, [{"next": 1}])
    again = VideoXLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).train()
    optimiser_again = make_optimiser(again, 0.0)
    restore_optimiser(folder, again, optimiser_again)
    set_learning_rate(optimiser_again, 1e-3)
    for pair in ((model, optimiser), (again, optimiser_again)):
        learn(*pair, 2)
    for (name, one), other in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other), name
    assert VideoXLProcessor.from_pretrained(folder).ids("A red star") == processor.ids("A red star")


def test_only_the_newest_stay(trained, processor, tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, trained, processor, step)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000002", "step-00000003"]


def test_broken_checkpoints_take_no_place_of_whole_ones(trained, processor, tmp_path):
    """Broken: the one of step 8 and that of 4. A run that goes on from step 2 writes 6, then 7, and keeps two."""
    folder = tmp_path / "checkpoints"
    for step in (2, 4, 8):
        save(tmp_path, trained, processor, step, keep=3)
    for step in (4, 8):
        (folder / f"step-{step:08d}" / "model.safetensors").unlink()
    save(tmp_path, trained, processor, 6)
    assert newest_checkpoint(tmp_path)[1]["step"] == 6
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000002", "step-00000006", "step-00000008"]
    save(tmp_path, trained, processor, 7, keep=1)
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000007", "step-00000008"]


@pytest.mark.parametrize("damage", ["truncate", "remove", "no state", "half a state"])
def test_a_broken_checkpoint_is_passed_over(trained, processor, tmp_path, damage):
    for step in (1, 2):
        save(tmp_path, trained, processor, step)
    newest = tmp_path / "checkpoints" / "step-00000002"
    weights, state = newest / "model.safetensors", newest / "training" / "state.json"
    if damage == "truncate":
        with weights.open("r+b") as file:
            file.truncate(weights.stat().st_size - 1)
    elif damage == "remove":
        (newest / "training" / "optimizer.safetensors").unlink()
    elif damage == "no state":
        state.unlink()
    else:
        state.write_text(state.read_text()[:50])
    assert newest_checkpoint(tmp_path)[0].name == "step-00000001"
    assert checkpoint_to_resume(tmp_path, SETTINGS)[1].step == 1


def test_a_run_without_a_whole_checkpoint_is_refused_and_told_what_differs(trained, processor, tmp_path):
    assert newest_checkpoint(tmp_path) is None
    for step in (1, 2, 3):
        save(tmp_path, trained, processor, step, keep=3)
    assert passed_over(tmp_path) == []
    first, second, third = sorted((tmp_path / "checkpoints").iterdir())
    (third / "training" / "state.json").unlink()
    (second / "training" / "optimizer.safetensors").unlink()
    assert newest_checkpoint(tmp_path)[0] == first
    broken = [f"{third}: training/state.json cannot be read", f"{second}: training/optimizer.safetensors is not there"]
    assert passed_over(tmp_path) == broken
    size = (first / "config.json").stat().st_size
    with (first / "config.json").open("a") as file:
        file.write(" ")
    broken.append(f"{first}: config.json has {size + 1:,} bytes in place of {size:,}")
    with pytest.raises(NoWholeCheckpointError) as refused:
        checkpoint_to_resume(tmp_path, SETTINGS)
    assert str(refused.value).splitlines()[1:] == [f"  - {line}" for line in broken]


def test_what_a_killed_process_left_half_written_is_no_checkpoint_and_is_removed(trained, processor, tmp_path):
    left = tmp_path / "checkpoints" / ".step-00000003.partial"
    (left / "training").mkdir(parents=True)
    (left / "model.part00000").write_bytes(b"half")
    assert checkpoint_to_resume(tmp_path, SETTINGS) is None
    save(tmp_path, trained, processor, 2)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000002"]


def test_a_run_with_other_settings_is_refused_and_told_where(trained, processor, tmp_path):
    save(tmp_path, trained, processor, 1)
    with pytest.raises(OtherRunError, match=r"lr: 0.001 there, 0.01 here"):
        checkpoint_to_resume(tmp_path, {**SETTINGS, "lr": 1e-2})


def test_a_choice_that_an_older_release_did_not_know_had_its_default(trained, processor, tmp_path):
    save(tmp_path, trained, processor, 1)
    assert checkpoint_to_resume(tmp_path, {**SETTINGS, "beta2": 0.999})[1].step == 1
    with pytest.raises(OtherRunError, match=r"beta2: 0\.999 there, 0\.95 here"):
        checkpoint_to_resume(tmp_path, {**SETTINGS, "beta2": 0.95})


def test_rows_of_a_pass_may_change_in_runs_that_noted_them_too(trained, processor, tmp_path):
    position = Position(1, [{"next": 1}])
    save_checkpoint(tmp_path, *trained, processor, position, {**SETTINGS, "rows": 2}, ALONE, 2)
    assert checkpoint_to_resume(tmp_path, SETTINGS)[1] == position


FULL_DISK = """
import resource, signal, sys
sys.path[:0] = [{tests!r}, {root!r}]
import torch
from pathlib import Path
from tests.model.tiny_models import byte_tokenizer, tiny_model
from model.processing_video_xl import VideoXLProcessor
from model.training.checkpoint import Position, save_checkpoint
from model.training.optimiser import make_optimiser
from model.training.ranks import Ranks
from model.training.checkpoint_folder import RunNotWrittenError
model = tiny_model()
processor = VideoXLProcessor.for_model(model.config, byte_tokenizer())
rest = make_optimiser(model, 0.0), processor
alone = Ranks(0, 1, torch.device("cpu"), None)
run = Path({run!r})
save_checkpoint(run, model, *rest, Position(1, []), {{}}, alone, 2)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, -1))
try:
    save_checkpoint(run, model, *rest, Position(2, []), {{}}, alone, 2)
except RunNotWrittenError as error:
    print(error)
    sys.exit(4)
"""


def test_a_disk_that_is_full_leaves_the_checkpoint_before(tmp_path):
    """No file may grow beyond some bytes: the system's own error, in the midst of a file."""
    root = Path(__file__).parents[3]
    code = FULL_DISK.format(tests=str(root / "tests" / "model"), root=str(root), run=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=120)
    assert done.returncode == 4, done.stderr
    assert "step 2 could not be written" in done.stdout
    assert "the one before it is whole" in done.stdout
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000001"]
    assert newest_checkpoint(tmp_path)[0].name == "step-00000001"


@pytest.mark.parametrize("torn", ["", '{"step": 3, "lo', '{"step": 3, "loss": 1.0}'])
def test_a_log_goes_on_behind_the_step_that_is_gone_on_from(tmp_path, torn):
    """Lines of later steps and half a line are cut off; the file stays the one it was."""
    lines = tmp_path / "log.jsonl"
    lines.write_text(f'{{"step": 1}}\n{{"step": 2}}\n{torn}')
    before = lines.stat().st_ino
    for step, expected in ((2, [1, 2, 3]), (1, [1, 2])):
        log = RunLog(tmp_path, 0, 1, step)
        log.step(step + 1, {"loss": 0.5}, [made_row(1)])
        log.close()
        assert [line["step"] for line in read_log(tmp_path)] == expected
    assert lines.stat().st_ino == before


def test_tensors_are_split_over_files_that_transformers_reads(tmp_path, model):
    files = TensorFiles(tmp_path, "model", most_bytes=20_000)
    for name, parameter in model.named_parameters():
        files.add(name, parameter.detach())
    files.close()
    assert len(list(tmp_path.glob("model-*-of-*.safetensors"))) > 2
    stored = dict(stored_tensors(tmp_path, "model"))
    assert all(torch.equal(stored[name], parameter) for name, parameter in model.named_parameters())
    model.config.save_pretrained(tmp_path)
    again = VideoXLForConditionalGeneration.from_pretrained(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))


@pytest.fixture
def start_folder(tmp_path, model, processor):
    """What adapters are trained from."""
    model.save_pretrained(tmp_path / "start")
    processor.save_pretrained(tmp_path / "start")
    return tmp_path / "start"


def test_adapters_come_back_and_are_worked_into_the_weights(start_folder, processor, tmp_path):
    choices = TrainChoices(
        shards=["none"], out=str(tmp_path / "run"), init=str(start_folder), lora_rank=2, precision="float32",
        device="cpu", train=["projector"])
    model = prepared_model(choices, processor, ALONE)
    optimiser = make_optimiser(model, 0.0)
    set_learning_rate(optimiser, 1e-2)
    for row in (1, 2, 3):
        learn(model, optimiser, row)
    save(tmp_path / "run", (model, optimiser), processor, 3)
    folder, _ = checkpoint_to_resume(tmp_path / "run", SETTINGS)
    row = made_row(5)
    inputs = {"pixel_values": row.pixel_values, "ratio": 4, "question_ids": row.question_ids}
    with torch.no_grad():
        expected = model(row.input_ids, **inputs).logits
        plain = VideoXLForConditionalGeneration.from_pretrained(folder)(row.input_ids, **inputs).logits
        before = VideoXLForConditionalGeneration.from_pretrained(start_folder)(row.input_ids, **inputs).logits
    torch.testing.assert_close(plain, expected, rtol=1e-4, atol=1e-4)
    assert (plain - before).abs().max() > 1e-2
    again = prepared_model(choices, processor, ALONE, folder)
    optimiser_again = make_optimiser(again, 0.0)
    restore_optimiser(folder, again, optimiser_again)
    set_learning_rate(optimiser_again, 1e-2)
    for pair in ((model, optimiser), (again, optimiser_again)):
        learn(*pair, 4)
    for (name, one), other in zip(model.named_parameters(), again.named_parameters(), strict=True):
        assert name == other[0]
        assert torch.equal(one, other[1]), name


def test_adapters_of_another_start_are_refused(start_folder, processor, tmp_path):
    choices = TrainChoices(
        shards=["none"], out=str(tmp_path / "run"), init=str(start_folder), lora_rank=2, precision="float32",
        device="cpu", train=[])
    model = prepared_model(choices, processor, ALONE)
    save(tmp_path / "run", (model, make_optimiser(model, 0.0)), processor, 1)
    shutil.rmtree(start_folder)
    tiny_model(seed=5).save_pretrained(start_folder)
    VideoXLProcessor.for_model(model.config, byte_tokenizer()).save_pretrained(start_folder)
    with pytest.raises(OtherRunError, match="was trained from"):
        prepared_model(choices, processor, ALONE, newest_checkpoint(tmp_path / "run")[0])


def test_nothing_is_pickled(trained, processor, tmp_path):
    save(tmp_path, trained, processor, 1)
    endings = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert endings <= {".safetensors", ".json", ".jinja"}
    state = json.loads((tmp_path / "checkpoints" / "step-00000001" / "training" / "state.json").read_text())
    assert state["step"] == 1


def test_a_folder_that_cannot_be_made_is_told(trained, processor, tmp_path):
    (tmp_path / "run").write_text("a file where the run should be")
    with pytest.raises(RunNotWrittenError, match="step 1 could not be written"):
        save(tmp_path / "run", trained, processor, 1)
