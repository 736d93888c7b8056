"""How many frames fit into a memory, for each way to look at a video.

    python benchmarks/frames_that_fit.py [--memory-gb 80] [--method vst:16 pool-space:16 ...] [--json FILE]

What a frame costs is measured by looking (rows of keys and values that stay, visual tokens held meanwhile), with the
published token counts (144 a frame, windows of ten frames) on a small language model: the counts do not depend on its
size. Bytes are those of Qwen2-7B in 16 bits. Fixed are the weights (16.8 GB) and a workspace: on a CPU the one assumed
by --workspace-gb, on a GPU what is measured. On a GPU the 7B model is filled as well, with --memory-gb as the limit,
and `tried` is the largest number of frames at which one more pass and a question still run. Nothing is asserted.
"""

import argparse
import json
from pathlib import Path

import torch
from video_xl import configuration

from model.configuration import VideoXLConfig
from model.evaluation.methods.frames_that_fit import FrameCost, frame_cost, frames_in, largest, tried
from model.evaluation.methods.method import Method
from model.modeling_video_xl import VideoXLForConditionalGeneration

WAYS = ["all", "vst:2", "vst:8", "vst:16", "vst:32", "pool-space:16", "pool-time:16", "drop-frames:16",
        "merge-frames:16", "merge-places:16", "two-tokens:72"]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--memory-gb", type=float, default=80.0, help="10^9 bytes (default: 80)")
    parser.add_argument("--workspace-gb", type=float, default=6.0, help="beside weights and kept rows (default: 6)")
    parser.add_argument("--method", nargs="+", default=WAYS, help=f"ways to look (default: {' '.join(WAYS)})")
    parser.add_argument("--frames", type=int, default=192, help="measured with, and with twice as many (default: 192)")
    parser.add_argument("--json", type=Path, help="also write it there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config, on_gpu = configuration("7b"), torch.cuda.is_available()
    counting = _counting_model()
    large = _large_model(config, options.memory_gb) if on_gpu else None
    fixed_gb = 16.8 + options.workspace_gb
    print(f"{'way':18s} {'rows/frame':>10s} {'held':>5s} {'MB/frame':>9s} {'frames':>9s} {'tried':>9s}")
    ways = []
    for text in options.method:
        cost = frame_cost(counting, Method.parse(text), options.frames)
        frames = frames_in(options.memory_gb * 1e9, fixed_gb * 1e9, cost, config)
        found = None if large is None else _try(large, cost, frames)
        ways.append({
            "method": text, "rows_per_frame": cost.rows, "held": cost.held, "bytes_per_frame": cost.bytes_of(config),
            "counted": frames, "tried": found, "frames": frames if found is None else found})
        print(f"{text:18s} {cost.rows:10.2f} {cost.held:5.2f} {cost.bytes_of(config) / 1e6:9.3f} {frames:9,d} "
              f"{'' if found is None else f'{found:,d}':>9s}", flush=True)
    if options.json:
        facts = {"memory_gb": options.memory_gb, "fixed_gb": fixed_gb, "gpu": on_gpu, "ways": ways}
        options.json.write_text(json.dumps(facts, indent=1))


def _counting_model() -> VideoXLForConditionalGeneration:
    """Published token counts, a language model of one narrow layer, which is as good for counting."""
    config = configuration("small")
    text = config.text_config
    text.num_hidden_layers, text.hidden_size, text.intermediate_size, text.vocab_size = 1, 32, 32, 64
    text.num_attention_heads = text.num_key_value_heads = 1
    text.layer_types = ["full_attention"]
    torch.manual_seed(0)
    return VideoXLForConditionalGeneration(VideoXLConfig(text, config.vision_config)).eval()


def _large_model(config: VideoXLConfig, memory_gb: float) -> VideoXLForConditionalGeneration:
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, memory_gb * 1e9 / total))
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = VideoXLForConditionalGeneration(config).eval()
    torch.set_default_dtype(torch.float32)
    return model


def _try(model: VideoXLForConditionalGeneration, cost: FrameCost, likely: int) -> int:
    return largest(lambda frames: tried(model, cost, frames), likely)


if __name__ == "__main__":
    main()
