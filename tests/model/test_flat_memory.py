"""What is held at a time does not grow with the video, and no mask of the size tokens x tokens is made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_models import LONG
from torch.utils._python_dispatch import TorchDispatchMode


def peak(frames: int) -> int:
    """Bytes above the loaded model, less those of the memory.

    The C library is told to hand freed blocks back at once: what it likes to keep is not ours.
    """
    environment = {
        **os.environ,
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "MALLOC_TRIM_THRESHOLD_": "65536",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    program = Path(__file__).parent / "peak_memory.py"
    run = subprocess.run(
        [sys.executable, str(program), str(frames)], env=environment, capture_output=True, text=True, check=True
    )
    return int(run.stdout)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from /proc")
def test_compress_holds_no_more_for_a_longer_video():
    """4,096 frames against 256 at full count, 1,024 in the short run."""
    assert peak(4096 if LONG else 1024) <= 1.1 * peak(256)


class LargestTensor(TorchDispatchMode):
    """Notes the most elements that any operation returned."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(one, torch.Tensor):
                self.elements = max(self.elements, one.numel())
        return out


@pytest.mark.parametrize("gradients", [False, True])
def test_nothing_of_the_size_tokens_times_tokens_is_made(model, gradients):
    """600 frames in one pass: 2,400 visual tokens, 5.8 million pairs, and no tensor comes near that."""
    tokens = 600 * model.config.tokens_per_crop
    model.set_attn_implementation("sdpa")
    visual = torch.randn(tokens, 32)
    ids = torch.tensor([[1, 299, 2]])
    with torch.set_grad_enabled(gradients), LargestTensor() as largest:
        model(ids, visual_tokens=visual, ratio=16, windows_per_pass=None)
    assert largest.elements < tokens * tokens / 4
