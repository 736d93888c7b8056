"""How many frames fit into a memory, for each way to look at a video.

    python benchmarks/frames_that_fit.py [--memory-gb 80] [--method vst:16 pool-space:16 ...] [--json FILE]
    python benchmarks/frames_that_fit.py --model DIR --memory-gb 0.256 --method all vst:16 ...

What a frame costs is measured by looking (rows of keys and values that stay, visual tokens held meanwhile), with the
published token counts (144 a frame, windows of ten frames) on a small language model: the counts do not depend on its
size. Bytes are those of Qwen2-7B in 16 bits. Fixed are the weights (16.8 GB) and a workspace, which is assumed. On a
GPU the 7B model is filled as well, with --memory-gb as the limit, and `tried` is the largest number of frames at which
one more pass and a question still run.

With --model the costs and bytes are those of that model, and --memory-gb is what there is beside it once it is loaded
and has looked: kept rows, held tokens and the workspace of a pass. `tried` is measured on a CPU too, in forks of this
process whose memory is limited. Nothing is asserted.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from video_xl import configuration

from model.ask_video import CannotAskError, load
from model.configuration import VideoXLConfig
from model.evaluation.methods.frames_that_fit import FrameCost, frame_cost, frames_in, largest, tried
from model.evaluation.methods.limited_memory import give_back_what_is_freed
from model.evaluation.methods.method import Method, MethodError
from model.modeling_video_xl import VideoXLForConditionalGeneration

WAYS = ["all", "vst:2", "vst:8", "vst:16", "vst:32", "pool-space:16", "pool-time:16", "drop-frames:16",
        "merge-frames:16", "merge-places:16", "two-tokens:72"]
WEIGHTS_GB, WORKSPACE_GB = 16.8, 6.0


@dataclass(frozen=True, slots=True)
class Subject:
    """What is counted, and what is tried.

    Attributes:
        counting: looks.
        config: whose sizes the bytes are; `element_bytes` of a number.
        fixed_bytes: of the memory, taken before the first frame.
        filled: the model that is filled, if any.
    """

    counting: VideoXLForConditionalGeneration
    config: VideoXLConfig
    element_bytes: int
    fixed_bytes: float
    filled: VideoXLForConditionalGeneration | None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", type=Path, help="folder of a model (default: the sizes of the 7B model)")
    parser.add_argument("--memory-gb", type=float, default=80.0,
                        help="10^9 bytes; with --model beside its weights (default: 80)")
    parser.add_argument("--workspace-gb", type=float,
                        help="assumed beside weights and kept rows when counting (default: 6, with --model 0)")
    parser.add_argument("--method", nargs="+", default=WAYS, help=f"ways to look (default: {' '.join(WAYS)})")
    parser.add_argument("--frames", type=int, default=192, help="measured with, and with twice as many (default: 192)")
    parser.add_argument("--json", type=Path, help="also write it there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    memory_bytes = round(options.memory_gb * 1e9)
    try:
        methods = [Method.parse(text) for text in options.method]
        subject = (_published(memory_bytes, options.workspace_gb) if options.model is None
                   else _given(options.model, memory_bytes, options.workspace_gb))
        for method in methods:
            method.check(subject.counting.config)
    except (CannotAskError, MethodError) as error:
        parser.error(str(error))
    ways = _table(subject, methods, memory_bytes, options.frames)
    if options.json:
        facts = {"memory_gb": options.memory_gb, "fixed_gb": subject.fixed_bytes / 1e9,
                 "gpu": torch.cuda.is_available(), "ways": ways}
        options.json.write_text(json.dumps(facts, indent=1))


def _published(memory_bytes: int, workspace_gb: float | None) -> Subject:
    config = configuration("7b")
    filled = _large_model(config, memory_bytes) if torch.cuda.is_available() else None
    workspace_gb = WORKSPACE_GB if workspace_gb is None else workspace_gb
    return Subject(_counting_model(), config, 2, (WEIGHTS_GB + workspace_gb) * 1e9, filled)


def _given(folder: Path, memory_bytes: int, workspace_gb: float | None) -> Subject:
    """A model counts, and is filled, itself."""
    give_back_what_is_freed()
    model = load(folder, "cuda" if torch.cuda.is_available() else "cpu")
    if torch.cuda.is_available():
        _limit_gpu(torch.cuda.memory_allocated() + memory_bytes)
    return Subject(model, model.config, model.dtype.itemsize, (workspace_gb or 0.0) * 1e9, model)


def _table(
    subject: Subject, methods: Sequence[Method], memory_bytes: int, frames: int
) -> list[dict[str, str | float | None]]:
    """Printed as it comes, and returned."""
    print(f"{'way':18s} {'rows/frame':>10s} {'held':>5s} {'kB/frame':>9s} {'frames':>9s} {'tried':>9s}")
    ways = []
    for method in methods:
        cost = frame_cost(subject.counting, method, frames)
        bytes_per_frame = cost.bytes_of(subject.config, subject.element_bytes)
        counted = frames_in(memory_bytes, subject.fixed_bytes, cost, subject.config, subject.element_bytes)
        found = None if subject.filled is None else _try(subject.filled, cost, counted, memory_bytes)
        ways.append({
            "method": str(method), "rows_per_frame": cost.rows, "held": cost.held, "bytes_per_frame": bytes_per_frame,
            "counted": counted, "tried": found, "frames": counted if found is None else found})
        print(f"{method!s:18s} {cost.rows:10.2f} {cost.held:5.2f} {bytes_per_frame / 1e3:9,.1f} {counted:9,d} "
              f"{'' if found is None else f'{found:,d}':>9s}", flush=True)
    return ways


def _try(model: VideoXLForConditionalGeneration, cost: FrameCost, likely: int, memory_bytes: int) -> int:
    return largest(lambda frames: tried(model, cost, frames, memory_bytes), likely)


def _counting_model() -> VideoXLForConditionalGeneration:
    """Published token counts, a language model of one narrow layer, which is as good for counting."""
    config = configuration("small")
    text = config.text_config
    text.num_hidden_layers, text.hidden_size, text.intermediate_size, text.vocab_size = 1, 32, 32, 64
    text.num_attention_heads = text.num_key_value_heads = 1
    text.layer_types = ["full_attention"]
    torch.manual_seed(0)
    return VideoXLForConditionalGeneration(VideoXLConfig(text, config.vision_config)).eval()


def _large_model(config: VideoXLConfig, memory_bytes: int) -> VideoXLForConditionalGeneration:
    _limit_gpu(memory_bytes)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = VideoXLForConditionalGeneration(config).eval()
    torch.set_default_dtype(torch.float32)
    return model


def _limit_gpu(memory_bytes: int) -> None:
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, memory_bytes / total))


if __name__ == "__main__":
    main()
