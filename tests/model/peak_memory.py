"""Run in a process of its own: how much memory `compress` takes beyond the model and the memory it makes.

python tests/model/peak_memory.py FRAMES      prints bytes: peak above the loaded model less the memory's own
"""

import gc
import sys
from pathlib import Path

import torch
from transformers import CLIPVisionConfig, Qwen2Config

from model.configuration import VideoXLConfig
from model.modeling_video_xl import VideoXLForConditionalGeneration


def resident(field: str) -> int:
    """Bytes of `VmRSS` (now) or `VmHWM` (at most since the last reset)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def small_model() -> VideoXLForConditionalGeneration:
    """Published token counts (144 a frame, windows of 1440), few and narrow layers."""
    torch.manual_seed(0)
    text = Qwen2Config(
        vocab_size=512, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=168, patch_size=7
    )
    return VideoXLForConditionalGeneration(VideoXLConfig(text_config=text, vision_config=vision)).eval()


def main(frames: int) -> None:
    torch.set_num_threads(1)
    model = small_model()
    generator = torch.Generator().manual_seed(0)

    def film(count: int):
        for _ in range(count):
            yield torch.randn(3, 168, 168, generator=generator)

    model.compress(film(24), ratio=16, prefix_ids=[1, 2, 3]).close()  # libraries allocate on first use
    gc.collect()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    memory = model.compress(film(frames), ratio=16, prefix_ids=[1, 2, 3]).close()
    print(resident("VmHWM") - before - memory.nbytes)


if __name__ == "__main__":
    main(int(sys.argv[1]))
