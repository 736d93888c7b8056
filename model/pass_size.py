"""How much is computed at a time when nobody says."""

import torch

from model.configuration import VideoXLConfig

GPU_TOKENS_PER_PASS = 11520
"""Eight published windows: enough for full speed on a large GPU (`benchmarks/video_xl.py`), few enough to be
small.
"""

CPU_TOKENS_PER_PASS = 1440
GPU_TOKENS_PER_CHUNK = 32 * 144


def windows_per_pass(given: int | None, config: VideoXLConfig, device: torch.device) -> int:
    """Windows in one pass: what was given, or as many as keep the device busy, at least one."""
    if given is not None:
        return given
    tokens = CPU_TOKENS_PER_PASS if device.type == "cpu" else GPU_TOKENS_PER_PASS
    return max(1, tokens // config.window_tokens)


def frames_per_chunk(config: VideoXLConfig) -> int:
    """Frames that go through the vision tower at once."""
    return max(1, GPU_TOKENS_PER_CHUNK // config.tokens_per_crop)


def check_count(name: str, count: object, none: str) -> None:
    """Refuse a count that is not a positive integer; `none` says what leaving it out means.

    Raises:
        ValueError: names the argument.
    """
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
        raise ValueError(f"{name} must be a positive integer, or None ({none}), not {count!r}")
