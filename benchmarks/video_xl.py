"""How fast and how large Video-XL is, beside what the machine allows.

    python benchmarks/video_xl.py [--size 7b|small] [--frames 256 512 1024 2048] [--ratio 16]
    python benchmarks/video_xl.py --fill-frames 100000 --memory-cap-gb 80

Weights are random; sizes are those of Qwen2-7B and CLIP ViT-L/14-336, or on a CPU (`small`) a twentieth of
that in every direction. The roofline of a part is the larger of its arithmetic at the matrix product rate and
its bytes at the copy rate, both measured in the same run. Nothing is asserted.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import CLIPVisionConfig, Qwen2Config

from model.configuration import CLIP_L_14_336, VideoXLConfig
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.window_layout import Text, Visual, plan_steps, window_lengths

PREFIX_TOKENS = 14
QUESTION_TOKENS = 24
DECODED_TOKENS = 33


def configuration(size: str) -> VideoXLConfig:
    """Qwen2-7B with CLIP-L, or something that a CPU can run."""
    if size == "7b":
        text = Qwen2Config(
            vocab_size=152064,
            hidden_size=3584,
            intermediate_size=18944,
            num_hidden_layers=28,
            num_attention_heads=28,
            num_key_value_heads=4,
            rope_theta=1e6,
        )
        return VideoXLConfig(text_config=text, vision_config=CLIPVisionConfig(**CLIP_L_14_336))
    text = Qwen2Config(
        vocab_size=8192,
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    vision = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=336,
        patch_size=14,
    )
    return VideoXLConfig(text_config=text, vision_config=vision)


@dataclass
class Rates:
    """What the device does best: multiply-adds counted as two, bytes read plus bytes written."""

    flops: float
    bytes: float


@dataclass
class Machine:
    """Where things run."""

    device: torch.device
    dtype: torch.dtype

    def wait(self) -> None:
        """Until everything asked for is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def seconds(self, call, repeats: int = 5) -> float:
        """The fastest of several runs."""
        best = float("inf")
        for _ in range(repeats):
            self.wait()
            start = time.perf_counter()
            call()
            self.wait()
            best = min(best, time.perf_counter() - start)
        return best

    def rates(self, before: Rates) -> Rates:
        """Measure both; the better of now and before, for what else runs on a machine only ever slows it."""
        side = 8192 if self.device.type == "cuda" else 1024
        a, b = (torch.randn(side, side, device=self.device).to(self.dtype) for _ in range(2))
        flops = 2 * side**3 / self.seconds(lambda: a @ b, 10)
        source = torch.zeros(2**30 if self.device.type == "cuda" else 2**27, dtype=torch.uint8, device=self.device)
        target = torch.empty_like(source)
        copied = 2 * source.nbytes / self.seconds(lambda: target.copy_(source), 10)
        return Rates(max(flops, before.flops), max(copied, before.bytes))

    def peak_bytes(self) -> int:
        """Most memory held since `forget_peak`, weights included."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated()
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

    def forget_peak(self) -> None:
        """Start over."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        else:
            Path("/proc/self/clear_refs").write_text("5")


@dataclass
class Work:
    """Arithmetic and bytes of one video and question."""

    vision_flops: float
    prefill_flops: float
    first_token_flops: float
    weight_bytes: float
    memory_bytes: float


def work(config: VideoXLConfig, frames: int, ratio: int, element: int) -> Work:
    """What has to be done: linear layers, attention over visible pairs, nothing else.

    Args:
        element: bytes of a weight, a key or a value.
    """
    text, vision = config.text_config, config.vision_config
    tokens = frames * config.tokens_per_crop
    ratios = (ratio,) * len(window_lengths(tokens, config.window_tokens))
    steps = plan_steps([Text(PREFIX_TOKENS), Visual(tokens, ratios), Text(QUESTION_TOKENS)], config.window_tokens)
    head = text.hidden_size // text.num_attention_heads
    per_layer = (
        2 * text.hidden_size**2
        + 2 * text.hidden_size * text.num_key_value_heads * head
        + 3 * text.hidden_size * text.intermediate_size
    )
    linear, pair = 2.0 * per_layer * text.num_hidden_layers, 4.0 * text.hidden_size * text.num_hidden_layers
    flops = [linear * s.slots + pair * (s.slots * s.first_rank + s.slots * (s.slots + 1) / 2) for s in steps]
    rows = steps[-1].first_rank
    return Work(
        vision_flops=frames * _vision_flops(config, vision),
        prefill_flops=sum(flops[:-1]),
        first_token_flops=flops[-1] + 2.0 * text.vocab_size * text.hidden_size,
        weight_bytes=float(element * (per_layer * text.num_hidden_layers + text.vocab_size * text.hidden_size)),
        memory_bytes=float(element * rows * 2 * text.num_key_value_heads * head * text.num_hidden_layers),
    )


def _vision_flops(config: VideoXLConfig, vision: CLIPVisionConfig) -> float:
    patches = (vision.image_size // vision.patch_size) ** 2
    places = patches + 1
    layer = 2 * places * (4 * vision.hidden_size**2 + 2 * vision.hidden_size * vision.intermediate_size)
    layer += 4 * places**2 * vision.hidden_size
    size = config.text_config.hidden_size
    projector = 2 * patches * (vision.hidden_size * size + size * size)
    return float(
        layer * config.tower_layers_used + projector + 2 * patches * vision.hidden_size * 3 * vision.patch_size**2
    )


class VisionClock:
    """Adds up the seconds spent in the vision tower, by wrapping `encode`."""

    def __init__(self, model: VideoXLForConditionalGeneration, machine: Machine) -> None:
        self.seconds = 0.0
        self._model, self._machine, self._encode = model.model, machine, model.model.encode

    def __enter__(self) -> "VisionClock":
        def timed(pixels: torch.Tensor) -> torch.Tensor:
            self._machine.wait()
            start = time.perf_counter()
            tokens = self._encode(pixels)
            self._machine.wait()
            self.seconds += time.perf_counter() - start
            return tokens

        self._model.encode = timed
        return self

    def __exit__(self, *_: object) -> None:
        del self._model.encode


def film(model: VideoXLForConditionalGeneration, frames: int) -> Iterator[torch.Tensor]:
    """One random frame, over and over: what is in it costs nothing."""
    size = model.config.vision_config.image_size
    frame = torch.randn(3, size, size, device=model.device, dtype=model.dtype)
    return (frame for _ in range(frames))


def measure(model: VideoXLForConditionalGeneration, machine: Machine, rates: Rates, frames: int, ratio: int) -> None:
    """Compress, ask once, ask five times, decode; print a block of lines."""
    element = torch.finfo(machine.dtype).bits // 8
    need = work(model.config, frames, ratio, element)
    prefix = torch.arange(PREFIX_TOKENS)
    question = torch.arange(QUESTION_TOKENS, device=model.device)[None]

    def ask(tokens: int) -> None:
        model.generate(
            input_ids=question, past_key_values=memory.cache(), max_new_tokens=tokens, min_new_tokens=tokens,
            do_sample=False, pad_token_id=0,
        )  # fmt: skip

    machine.forget_peak()
    machine.wait()
    start = time.perf_counter()
    with VisionClock(model, machine) as vision:
        memory = model.compress(film(model, frames), ratio=ratio, prefix_ids=prefix).close()
    machine.wait()
    watched = time.perf_counter() - start
    first = machine.seconds(lambda: ask(1), 3)
    peak = machine.peak_bytes()
    many = machine.seconds(lambda: ask(DECODED_TOKENS), 1)
    step = (many - first) / (DECODED_TOKENS - 1)
    bare_step = (need.weight_bytes + need.memory_bytes) / rates.bytes
    bare_first = max(need.first_token_flops / rates.flops, bare_step)
    lines = [
        ("vision", vision.seconds, need.vision_flops / rates.flops),
        ("prefill", watched - vision.seconds, need.prefill_flops / rates.flops),
        ("first token", first, bare_first),
    ]
    lines.append(("all three", sum(line[1] for line in lines), sum(line[2] for line in lines)))
    print(f"\n{frames} frames at ratio {ratio}")
    for name, seconds, bare in lines:
        print(f"  {name:12s} {seconds:9.3f} s   roofline {bare:9.3f} s   x {seconds / bare:.2f}")
    print(f"  {'decode':12s} {1 / step:9.1f} tokens/s, roofline {1 / bare_step:.1f}")
    print(f"  {'5 questions':12s} {(watched + 5 * first) / (watched + first):9.3f} x the time of one (one letter each)")
    print(f"  {'peak':12s} {peak / 1e9:9.3f} GB, weights and libraries included")
    print(f"  {'kept':12s} {memory.nbytes / frames / 1e6:9.4f} MB a frame, {memory.nbytes / 1e9:.3f} GB in all")


@torch.no_grad()
def fill(model: VideoXLForConditionalGeneration, machine: Machine, frames: int, ratio: int) -> None:
    """Fill a memory with random rows as of `frames` frames, compress one more group, ask."""
    memory = model.compress(film(model, 1), ratio=ratio, prefix_ids=torch.arange(PREFIX_TOKENS))
    text = model.config.text_config
    head = text.hidden_size // text.num_attention_heads
    rows = frames * model.config.tokens_per_crop // ratio
    for done in range(0, rows, 4096):
        shape = (text.num_key_value_heads, min(4096, rows - done), head)
        for layer in range(text.num_hidden_layers):
            k, v = (torch.randn(shape, device=model.device, dtype=machine.dtype) for _ in range(2))
            memory.rows.append(layer, k, v)
    machine.forget_peak()
    machine.wait()
    start = time.perf_counter()
    memory.extend(film(model, 8 * model.config.window_tokens // model.config.tokens_per_crop))
    machine.wait()
    print(f"\na memory of {frames} frames ({memory.nbytes / 1e9:.2f} GB), then one more group of 8 windows:")
    print(f"  {time.perf_counter() - start:.2f} s, peak {machine.peak_bytes() / 1e9:.2f} GB")
    question = torch.arange(QUESTION_TOKENS, device=model.device)[None]
    seconds = machine.seconds(
        lambda: model.generate(input_ids=question, past_key_values=memory.cache(), max_new_tokens=1, pad_token_id=0), 2
    )
    print(f"  first token of a question {seconds:.3f} s, peak {machine.peak_bytes() / 1e9:.2f} GB")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--size", choices=("7b", "small"), help="left out: 7b on a GPU, small elsewhere")
    parser.add_argument("--frames", type=int, nargs="+", help="left out: 256 512 1024 2048, an eighth on a CPU")
    parser.add_argument("--ratio", type=int, default=16)
    parser.add_argument("--attention", default="sdpa", choices=("eager", "sdpa", "flex_attention"))
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.add_argument("--fill-frames", type=int, help="fill a memory to this size and go on from there")
    parser.add_argument("--memory-cap-gb", type=float, help="let torch use no more than this on the GPU")
    options = parser.parse_args()
    on_gpu = torch.cuda.is_available()
    if options.threads:
        torch.set_num_threads(options.threads)
    machine = Machine(torch.device("cuda" if on_gpu else "cpu"), torch.bfloat16 if on_gpu else torch.float32)
    if options.memory_cap_gb and on_gpu:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, options.memory_cap_gb * 1e9 / total))
    size = options.size or ("7b" if on_gpu else "small")
    torch.manual_seed(0)
    torch.set_default_dtype(machine.dtype)
    with machine.device:
        model = VideoXLForConditionalGeneration(configuration(size)).eval()
    torch.set_default_dtype(torch.float32)
    model.set_attn_implementation(options.attention)
    rates = machine.rates(Rates(0.0, 0.0))
    name = torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    print(f"{name}; torch {torch.__version__}; {size}, {machine.dtype}, {options.attention}")
    print(f"matrix product {rates.flops / 1e12:.3f} TFLOP/s, copy {rates.bytes / 1e9:.1f} GB/s")
    if options.fill_frames:
        fill(model, machine, options.fill_frames, options.ratio)
        return
    frames = options.frames or ([256, 512, 1024, 2048] if on_gpu else [32, 64, 128, 256])
    model.compress(film(model, 20), ratio=options.ratio, prefix_ids=torch.arange(PREFIX_TOKENS)).close()  # warm up
    for count in frames:
        rates = machine.rates(rates)
        measure(model, machine, rates, count, options.ratio)


if __name__ == "__main__":
    main()
