"""How fast a training step is: one pass, groups and the window loop beside each other; packing; the loader.

    python benchmarks/train_step.py [--size 7b|small] [--frames 128] [--questions 5] [--ratio 16]
                                    [--lora 0] [--precision mixed] [--group 4] [--steps 5] [--threads 1]

Weights are random; sizes are those of Qwen2-7B and CLIP ViT-L/14-336, or on a CPU (`small`) a twentieth of that in
every direction. Utilisation is the arithmetic that the mode needs (`model/training/flops.py`; what is computed again
does not count) over time and over the matrix product rate measured in the same run. The loader reads a data set drawn
for the purpose, 448 x 336 pictures, and the trainer beside it is that of the configuration `tiny`. Nothing is asserted.

On a CPU the time is that of one thread while it computes, which what else runs on the machine hardly changes; the
loader reads in the process itself.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import yaml
from transformers.utils import logging as transformers_logging

sys.path.insert(0, str(Path(__file__).parents[1]))

from video_xl import Machine, configuration

from model.configuration import VideoXLConfig
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.training.batch import Batch
from model.training.flops import forward_flops
from model.training.initial_model import initial_model, initial_processor
from model.training.loader import TrainingLoader
from model.training.lora import add_adapters
from model.training.memory_estimate import estimate_memory
from model.training.optimiser import make_optimiser, set_learning_rate
from model.training.ranks import Ranks
from model.training.shard_texts import shard_texts
from model.training.train_choices import CONFIGS, TrainChoices
from model.training.train_on_shards_command import loader_settings, mixture_of
from model.training.trained_parts import PARTS, Part, freeze_all_but
from model.training.training_step import StepSettings, checkpoint_activations, forward_backward, update
from model.window_layout import Step, Text, Visual, plan_steps, window_lengths
from tests.model.training.hand_made_shards import frame as frame_row
from tests.model.training.hand_made_shards import jpeg, medium, sample, write_data_set

PREFIX_TOKENS, QUESTION_TOKENS, ANSWER_TOKENS = 14, 40, 10
FILMS, SECONDS = 16, 32


def packed_row(config: VideoXLConfig, frames: int, questions: int) -> Batch:
    """One video with questions behind it, random."""
    draw = np.random.default_rng(0)
    each = QUESTION_TOKENS + ANSWER_TOKENS
    text = draw.integers(0, config.text_config.vocab_size - 2, PREFIX_TOKENS + questions * each)
    ids = torch.tensor([[*text[:PREFIX_TOKENS], config.media_token_id, *text[PREFIX_TOKENS:]]])
    asks = torch.zeros_like(ids)
    asks[0, PREFIX_TOKENS + 1 :] = torch.arange(1, questions + 1).repeat_interleave(each)
    answers = (torch.arange(questions * each) % each) >= QUESTION_TOKENS
    labels = torch.full_like(ids, -100)
    labels[0, PREFIX_TOKENS + 1 :][answers] = ids[0, PREFIX_TOKENS + 1 :][answers]
    size = config.vision_config.image_size
    pixels = torch.from_numpy(draw.standard_normal((frames, 3, size, size), dtype=np.float32))
    names = (tuple(map(str, range(questions))),)
    return Batch(ids, torch.ones_like(ids), labels, asks, pixels, torch.tensor([frames]), names)


def steps_of(config: VideoXLConfig, frames: int, questions: int, ratio: int) -> list[Step]:
    """What is planned for such a row."""
    tokens = frames * config.tokens_per_crop
    ratios = (ratio,) * len(window_lengths(tokens, config.window_tokens))
    asked = [Text(QUESTION_TOKENS + ANSWER_TOKENS, blind=True)] * questions
    return plan_steps([Text(PREFIX_TOKENS), Visual(tokens, ratios), *asked], config.window_tokens)


@dataclass
class Stopwatch:
    """Steps of one model, timed."""

    model: VideoXLForConditionalGeneration
    optimiser: torch.optim.Optimizer
    machine: Machine

    def seconds(self, work: Callable[[], object]) -> float:
        """Of one call."""
        clock = time.process_time if self.machine.device.type == "cpu" else time.perf_counter
        self.machine.wait()
        start = clock()
        work()
        self.machine.wait()
        return clock() - start

    def step(self, batches: list[Batch], settings: StepSettings) -> float:
        """Of one step."""
        alone = Ranks(0, 1, self.machine.device, None)

        def work() -> None:
            forward_backward(
                self.model, batches, lambda batch: [settings.ratios[0]] * len(batch.input_ids), settings, alone)
            update(self.model, self.optimiser, 1.0)

        return self.seconds(work)

    def flops(self) -> float:
        """The rate of a large matrix product."""
        side = 8192 if self.machine.device.type == "cuda" else 1024
        a, b = (torch.randn(side, side, device=self.machine.device).to(self.machine.dtype) for _ in range(2))
        return 2 * side**3 / min(self.seconds(lambda: a @ b) for _ in range(10))


def compare_ways(options: argparse.Namespace, machine: Machine) -> None:
    """One pass, groups, loop; then packed and unpacked."""
    config = configuration(options.size)
    parts: list[Part] = [part for part in PARTS if not (options.lora and part == "language_model")]
    with torch.device(machine.device):
        model = VideoXLForConditionalGeneration(config)
    model = model.to(torch.bfloat16 if options.precision == "bfloat16" else torch.float32).train()
    freeze_all_but(model, parts)
    if options.lora:
        add_adapters(model, options.lora, 16.0)
    checkpoint_activations(model)
    row = packed_row(config, options.frames, options.questions)
    steps = steps_of(config, options.frames, options.questions, options.ratio)
    flops = forward_flops(config, steps, options.frames, row.answer_tokens).training(parts, bool(options.lora))
    tokens = sum(step.slots for step in steps)
    learns = "LoRA" if options.lora else "everything"
    print(f"{options.frames} frames, {options.questions} questions, ratio {options.ratio}: {tokens:,} tokens and "
          f"summaries, {flops / 1e12:.3f} TFLOP; {learns} learns, {options.precision}", flush=True)
    optimiser = make_optimiser(model, 0.0)
    set_learning_rate(optimiser, 1e-6)
    watch = Stopwatch(model, optimiser, machine)
    single = [packed_row(config, options.frames, 1)] * options.questions
    ways = {
        "one pass": ([row], None), f"groups of {options.group}": ([row], options.group), "window loop": ([row], 1),
        "not packed": (single, None)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    peaks, rate = {}, 0.0
    for turn in range(options.steps + 1):  # in turns, so that a slow minute falls on all; the first one warms up
        rate = max(rate, watch.flops())
        for name, (batches, windows) in ways.items():
            how = StepSettings(
                ratios=[options.ratio], autocast=options.precision == "mixed", windows_per_pass=windows)
            machine.forget_peak()
            times[name] += [watch.step(batches, how)] * bool(turn)
            peaks[name] = machine.peak_bytes()
    median = {name: statistics.median(taken) for name, taken in times.items()}
    one_pass = median["one pass"]
    for name in list(ways)[:3]:
        print(f"{name:14s} {median[name]:8.3f} s a step  {tokens / median[name]:10.0f} tokens/s  utilisation "
              f"{flops / median[name] / rate:6.1%} of {rate / 1e12:.2f} TFLOP/s  peak {peaks[name] / 1e9:6.2f} GB  "
              f"{median[name] / one_pass:5.2f} times one pass")
    print(f"samples/s with {options.questions} questions a span: packed {options.questions / one_pass:.3f}, not packed "
          f"{options.questions / median['not packed']:.3f}: {median['not packed'] / one_pass:.2f} times as many",
          flush=True)


def drawn_shards(folder: Path, questions: int) -> Path:
    """Films of 32 pictures as build-vico writes them, with questions about each whole film."""
    films = [frame_row(f"film{film}", second, float(second), jpeg(100 * film + second, 448, 336), (448, 336))
             for film in range(FILMS) for second in range(SECONDS)]
    asked = [sample(f"{film}-{number}", [medium(f"film{film}", 0, SECONDS)], f"<image>\nWhat came at {number}?",
                    f"The film {film} had it.") for film in range(FILMS) for number in range(questions)]
    return write_data_set(folder, asked, films, frames_per_group=4 * SECONDS)


def batches_of(choices: TrainChoices, processor, config: VideoXLConfig) -> Iterator[Batch]:
    """What the loader gives."""
    return iter(TrainingLoader(
        mixture_of(choices), processor, loader_settings(choices, config), 0, 1, choices.seed, choices.workers))


def compare_loader(options: argparse.Namespace) -> None:
    """The loader without a model, and the configuration `tiny` with it."""
    with tempfile.TemporaryDirectory() as folder:
        shards = drawn_shards(Path(folder) / "shards", options.questions)
        values = yaml.safe_load((CONFIGS / "tiny.yaml").read_text())
        for packed in (options.questions, 1):
            choices = TrainChoices.model_validate(
                {**values, "shards": [str(shards)], "out": folder, "workers": 0,
                 "most_questions": packed, "rows": 4})
            processor = initial_processor(choices, lambda: shard_texts([shards]))
            model = initial_model(choices, processor).train()
            batches = batches_of(choices, processor, model.config)
            machine = Machine(torch.device("cpu"), torch.float32)
            watch = Stopwatch(model, make_optimiser(model, 0.0), machine)
            next(batches)
            read: list[Batch] = []
            reading = watch.seconds(lambda batches=batches, read=read: read.extend(islice(batches, options.steps * 2)))
            how = StepSettings(ratios=[max(choices.ratio_choices)])
            watch.step(read[:1], how)
            learning = sum(watch.step([batch], how) for batch in read)
            samples = sum(batch.samples for batch in read)
            print(f"tiny, {SECONDS} frames, {packed} questions a row: loader alone {samples / reading:.1f} samples/s, "
                  f"model alone {samples / learning:.1f} samples/s, a thread each: {learning / reading:.2f} times",
                  flush=True)


def print_memory(frames: int) -> None:
    """What a step takes at published sizes, by sizes alone."""
    config = configuration("7b")
    modes = {
        "everything": {}, "everything, 16 bit": {"precision": "bfloat16"}, "LoRA 16, 16 bit": {
            "precision": "bfloat16", "lora_rank": 16}, "VST and projector, 16 bit": {
            "precision": "bfloat16", "train": ["vst", "projector"]}}
    for ranks in (1, 8):
        for name, changes in modes.items():
            choices = TrainChoices.model_validate(
                {"shards": ["none"], "out": "none", "init": "none", "ratios": [2], **changes})
            print(f"{name}, {ranks} devices: {estimate_memory(config, choices, ranks, frames, 400).line()}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    on_gpu = torch.cuda.is_available()
    parser.add_argument("--size", choices=("7b", "small"), default="7b" if on_gpu else "small")
    parser.add_argument("--frames", type=int, default=128 if on_gpu else 40)
    parser.add_argument("--questions", type=int, default=5)
    parser.add_argument("--ratio", type=int, default=16)
    parser.add_argument("--lora", type=int, default=16 if on_gpu else 0, metavar="RANK")
    parser.add_argument("--precision", choices=("float32", "mixed", "bfloat16"),
                        default="bfloat16" if on_gpu else "float32")
    parser.add_argument("--group", type=int, default=4, help="windows of a group")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="on a CPU")
    parser.add_argument("--memory", action="store_true", help="print memory at 7B by sizes, and measure nothing")
    options = parser.parse_args()
    if options.memory:
        print_memory(options.frames)
        return
    transformers_logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    dtype = torch.float32 if options.precision == "float32" else torch.bfloat16
    compare_ways(options, Machine(torch.device("cuda" if on_gpu else "cpu"), dtype))
    compare_loader(options)


if __name__ == "__main__":
    main()
