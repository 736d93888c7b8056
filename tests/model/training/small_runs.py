"""Runs of `train-on-shards` in processes of their own, on a data set made by hand."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file

from tests.model.training.hand_made_shards import medium, sample, video_frames, write_data_set

COMMAND = str(Path(sys.executable).with_name("train-on-shards"))
ROOT = Path(__file__).parents[3]
LIMIT_S = 120

TINY = {
    "init": "scratch", "vocabulary": 300, "device": "cpu", "precision": "float32", "seed": 3,
    "sizes": {
        "text": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
                 "num_key_value_heads": 2, "max_position_embeddings": 1024},
        "vision": {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
                   "image_size": 28, "patch_size": 7, "projection_dim": 16},
        "window_tokens": 16, "ratios": [2, 4, 8, 16], "default_ratio": 4},
    "ratios": [2, 4, 8, 16], "most_frames": 8, "most_questions": 2, "rows": 2, "rows_per_step": 4, "lr": 1e-2,
    "warmup": 0.1, "checkpoint_steps": 4, "workers": 0,
}
"""Choices of a run of a few hundred weights in float32."""


def write_shards(folder: Path) -> Path:
    """40 samples about five videos and eight of words alone."""
    films = [row for film in range(5) for row in video_frames(f"film{film}", 9, 100 * film)]
    asked = [
        sample(f"{film}-{question}", [medium(f"film{film}", 0, 4 + question % 3)], f"<image>\nWhat is {question}?",
               f"It is {film}.") for film in range(5) for question in range(8)]
    talks = [sample(f"words{number}", [], f"Is {number} odd?", "Perhaps.") for number in range(8)]
    return write_data_set(folder, [*asked, *talks], films, frames_per_group=20)


SAMPLES = sorted([f"{film}-{question}" for film in range(5) for question in range(8)]
                 + [f"words{number}" for number in range(8)])


def write_config(folder: Path, **changes: Any) -> Path:
    """A YAML file of a small run."""
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump({**TINY, **changes}))
    return path


def start(out: Path, shards: Path, config: Path, *flags: str, ranks: int = 1) -> subprocess.Popen:
    """Start a run, under torchrun if there are several ranks."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    choices = ["--shards", str(shards), "--out", str(out), "--config", str(config), *flags]
    call = [*(torchrun if ranks > 1 else []), COMMAND, *choices]
    return subprocess.Popen(
        call, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True)


def kill(run: subprocess.Popen) -> None:
    """SIGKILL to a run and all that it started; torchrun gives its ranks sessions of their own."""
    found = [run.pid]
    for pid in found:
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], text=True, capture_output=True).stdout
        found += map(int, children.split())
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def finish(run: subprocess.Popen) -> tuple[int, str]:
    """Exit code and output."""
    try:
        output, _ = run.communicate(timeout=LIMIT_S)
    finally:
        run.kill()
    return run.returncode, output


def wait_for_step(run: subprocess.Popen, out: Path, step: int) -> None:
    """Until the log holds a step."""
    deadline = time.monotonic() + LIMIT_S
    while len(logged(out)) < step:
        assert run.poll() is None, run.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def logged(out: Path) -> list[dict[str, Any]]:
    """Whole lines of the log."""
    path = out / "log.jsonl"
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.is_file() else []


def losses(out: Path) -> list[tuple[int, float, float]]:
    """Step, loss and length of the gradient, of every step."""
    return [(line["step"], line["loss"], line["gradient_norm"]) for line in logged(out)]


def seen(out: Path) -> list[str]:
    """Ids of all samples of all ranks."""
    files = sorted((out / "samples").glob("rank-*.jsonl"))
    return [one for file in files for line in file.read_text().splitlines() for one in json.loads(line)["sample_ids"]]


def weights(out: Path, step: int) -> dict[str, torch.Tensor]:
    """Weights of a checkpoint."""
    return load_file(out / "checkpoints" / f"step-{step:08d}" / "model.safetensors")
