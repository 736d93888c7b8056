"""Runs that are killed and go on; and two ranks that do what one does."""

import os
import signal
from pathlib import Path

import pytest
import torch

from tests.model.training.hand_made_shards import medium, sample, video_frames, write_data_set
from tests.model.training.small_runs import (
    SAMPLES,
    finish,
    kill,
    losses,
    seen,
    start,
    wait_for_step,
    weights,
    write_config,
    write_shards,
)

EPOCHS = 3


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("shards") / "made")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("config"), epochs=EPOCHS)


@pytest.fixture(scope="module")
def unbroken(shards: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One rank, three epochs, never stopped."""
    out = tmp_path_factory.mktemp("unbroken")
    code, output = finish(start(out, shards, config))
    assert code == 0, output
    return out


def test_every_epoch_sees_every_sample(unbroken: Path) -> None:
    assert sorted(seen(unbroken)) == sorted(SAMPLES * EPOCHS)
    assert [step for step, _, _ in losses(unbroken)] == list(range(1, len(losses(unbroken)) + 1))
    assert losses(unbroken)[-1][1] < 0.5 * losses(unbroken)[0][1]  # it learns


def test_a_killed_run_goes_on_to_the_same_bits(shards: Path, config: Path, unbroken: Path, tmp_path: Path) -> None:
    """SIGKILL behind the first checkpoint, then the same command again."""
    run = start(tmp_path, shards, config)
    wait_for_step(run, tmp_path, 6)
    kill(run)
    assert finish(run)[0] == -signal.SIGKILL
    assert len(losses(tmp_path)) < len(losses(unbroken))
    code, output = finish(start(tmp_path, shards, config))
    assert code == 0, output
    assert losses(tmp_path) == losses(unbroken)
    assert seen(tmp_path) == seen(unbroken)
    last = len(losses(unbroken))
    found, expected = weights(tmp_path, last), weights(unbroken, last)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_two_ranks_with_two_workers_killed_and_resumed_do_what_one_does(
    shards: Path, config: Path, unbroken: Path, tmp_path: Path
) -> None:
    flags = ("--rows", "1", "--workers", "2")
    run = start(tmp_path, shards, config, *flags, ranks=2)
    wait_for_step(run, tmp_path, 6)
    kill(run)
    finish(run)
    assert len(losses(tmp_path)) < len(losses(unbroken))
    code, output = finish(start(tmp_path, shards, config, *flags, ranks=2))
    assert code == 0, output
    assert sorted(seen(tmp_path)) == sorted(SAMPLES * EPOCHS)
    for found, expected in zip(losses(tmp_path), losses(unbroken), strict=True):
        assert found == pytest.approx(expected, rel=1e-3)
    last = len(losses(unbroken))
    found, expected = weights(tmp_path, last), weights(unbroken, last)
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_killed_run_goes_on_with_another_number_of_ranks(
    shards: Path, config: Path, unbroken: Path, tmp_path: Path, before: int, after: int
) -> None:
    """Two rows a pass over all ranks, first and later."""
    run = start(tmp_path, shards, config, "--rows", str(2 // before), ranks=before)
    wait_for_step(run, tmp_path, 6)
    kill(run)
    finish(run)
    assert len(losses(tmp_path)) < len(losses(unbroken))
    code, output = finish(start(tmp_path, shards, config, "--rows", str(2 // after), ranks=after))
    assert code == 0, output
    assert sorted(seen(tmp_path)) == sorted(SAMPLES * EPOCHS)
    for found, expected in zip(losses(tmp_path), losses(unbroken), strict=True):
        assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("polite", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_stop_of_a_run_and_its_workers_saves(
    shards: Path, config: Path, unbroken: Path, tmp_path: Path, polite: signal.Signals
) -> None:
    """As a terminal and a batch system do, the whole process group is asked."""
    run = start(tmp_path, shards, config, "--workers", "2")
    wait_for_step(run, tmp_path, 2)
    os.killpg(run.pid, polite)
    code, output = finish(run)
    assert code == 4, output
    done = len(losses(tmp_path))
    assert (tmp_path / "checkpoints" / f"step-{done:08d}").is_dir()
    assert losses(tmp_path) == losses(unbroken)[:done]


def test_a_polite_stop_of_torchrun_saves(shards: Path, config: Path, unbroken: Path, tmp_path: Path) -> None:
    """It passes the signal on to each rank and all that this one started, and ends with 1 itself."""
    run = start(tmp_path, shards, config, "--rows", "1", "--workers", "1", ranks=2)
    wait_for_step(run, tmp_path, 2)
    run.send_signal(signal.SIGTERM)
    code, output = finish(run)
    assert code == 1, output
    done = len(losses(tmp_path))
    assert (tmp_path / "checkpoints" / f"step-{done:08d}").is_dir()
    assert done < len(losses(unbroken))


def test_a_step_of_words_alone_moves_what_sees_alike_on_one_rank_and_on_two(tmp_path: Path) -> None:
    """Two samples about a film among ten of words, two rows a step, weights that decay."""
    asked = [sample(f"film{number}", [medium("film", 0, 4)], f"<image>\nWhat is {number}?", "It.") for number in "ab"]
    talks = [sample(f"words{number}", [], f"Is {number} odd?", "Perhaps.") for number in range(10)]
    made = write_data_set(tmp_path / "made", [*asked, *talks], video_frames("film", 4))
    config = write_config(tmp_path, epochs=2, rows_per_step=2, most_questions=1, weight_decay=0.1)
    found = []
    for ranks in (1, 2):
        out = tmp_path / str(ranks)
        code, output = finish(start(out, made, config, "--rows", str(2 // ranks), ranks=ranks))
        assert code == 0, output
        found.append(weights(out, 12))
    lines = (tmp_path / "1" / "samples" / "rank-00000.jsonl").read_text().splitlines()
    sees = ["film" in line for line in lines]
    assert False in sees[sees.index(True):]
    for name, weight in found[0].items():
        if name.startswith(("model.vision_tower.", "model.projector.")) and not name.endswith("k_proj.bias"):
            torch.testing.assert_close(found[1][name], weight, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("flags", [
    ("--stage", "align", "--ratios", "1"), ("--lora-rank", "2", "--precision", "mixed"),
    ("--train", "vst", "projector", "--ratios", "1", "4"), ("--loss-average", "sample", "--published-labels"),
], ids=["align", "lora", "vst", "published"])
def test_two_ranks_agree_in_every_mode(shards: Path, config: Path, tmp_path: Path, flags: tuple[str, ...],
                                       long_tests: bool) -> None:
    """Batches of words alone beside batches with pictures, weights that some rows do not use, two arithmetics."""
    if not long_tests:
        pytest.skip("VICO_LONG_TESTS=1")
    outs = []
    for ranks in (1, 2):
        outs.append(tmp_path / str(ranks))
        code, output = finish(start(
            outs[-1], shards, config, *flags, "--steps", "4", "--rows", str(2 // ranks), ranks=ranks))
        assert code == 0, output
    for found, expected in zip(losses(outs[1]), losses(outs[0]), strict=True):
        assert found == pytest.approx(expected, rel=2e-2 if "mixed" in flags else 1e-3)
