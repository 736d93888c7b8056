"""Ask questions about a video.

    ask-video VIDEO "question" [--model DIR] [--ratio 8] [--fps 1 | --frames N] [--memory FILE] [--where [FILE]]
    ask-video VIDEO --recipe find-advertisement | anomaly | chapters ...

Without a question it asks for questions until an empty line. With --memory the video is watched once: the
file is written the first time and read the next. With --where it says where in the video the answer looked; a recipe
has its own question and always says where. Answers and spans go to standard output (with --json as one object a line),
everything else to standard error. Exit code 2: the call cannot be carried out, and why.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from rich.console import Console
from transformers import TextStreamer

from model.configuration import VideoXLConfig
from model.memory import Memory
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from model.ratio_choice import check_ratio
from model.recipes import RECIPES
from model.rotary import Positions, position_limit
from model.show_where import WhereShown, file_of, print_where
from model.window_layout import Text, Visual, plan_steps, window_lengths
from pipeline import decode
from pipeline.progress import StageProgress, add_log_json

MODEL_VARIABLE = "VIDEO_XL_MODEL"
USUAL_RATIO = 8
END_MARGIN_S = 1e-3  # the last frame is asked for just before the film ends


class CannotAskError(Exception):
    """The call cannot be carried out; the message says why and what would help."""


def frame_times(duration_s: float, fps: float | None, frames: int | None) -> np.ndarray:
    """Times in seconds of the frames to look at.

    Args:
        duration_s: length of the video.
        fps: frames a second, the first at time 0.
        frames: this many, evenly from the first frame to the last, in place of `fps`.
    """
    if frames is None:
        return np.arange(0, max(duration_s, END_MARGIN_S), 1 / fps)
    return np.linspace(0, max(duration_s - END_MARGIN_S, 0), frames)


def positions_needed(config: VideoXLConfig, frames: int, ratio: int, text_tokens: int) -> int:
    """Positions of a video and `text_tokens` in front of and behind it, the widest window included."""
    tokens = frames * config.tokens_per_crop
    ratios = (ratio,) * len(window_lengths(tokens, config.window_tokens))
    steps = plan_steps([Text(1), Visual(tokens, ratios), Text(text_tokens)], config.window_tokens)
    return max(step.first_rank + step.slots for step in steps)


def check_positions_fit(config: VideoXLConfig, frames: int, ratio: int, positions: Positions, text_tokens: int) -> None:
    """Stop where the video would need more positions than the model has.

    Raises:
        CannotAskError: names the ratio, the scaling or the number of frames that would fit.
    """
    limit = position_limit(config.text_config, positions)
    needed = positions_needed(config, frames, ratio, text_tokens)
    if needed <= limit:
        return

    def fits(count: int, other: int, scheme: Positions) -> bool:
        return positions_needed(config, count, other, text_tokens) <= position_limit(config.text_config, scheme)

    remedies = [
        f"--ratio {other}" for other in sorted(config.ratios) if other > ratio and fits(frames, other, positions)
    ][:1]
    if positions == "published" and fits(frames, ratio, "yarn"):
        remedies.append("--positions yarn")
    if not remedies and positions == "published":
        both = [other for other in sorted(config.ratios) if fits(frames, other, "yarn")]
        remedies += [f"--positions yarn --ratio {both[0]}"] if both else []
    most = next((count for count in range(frames, 0, -1) if fits(count, ratio, positions)), None)
    remedies.append("fewer words or --max-new-tokens" if most is None else f"--frames {most}")
    raise CannotAskError(
        f"{frames} frames at ratio {ratio} need {needed} positions, but the model has {limit}: "
        f"try {' or '.join(remedies)}"
    )


@dataclass
class FirstToken:
    """When the first token of an answer came, in seconds after `start`."""

    start: float
    seconds: float | None = None


class AnswerStreamer(TextStreamer):
    """Prints an answer as it comes and notes when its first token did."""

    def __init__(self, tokenizer: Any, first: FirstToken) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._first = first
        self._prompt_seen = False

    def put(self, value: torch.Tensor) -> None:
        """Take in the prompt, then token by token."""
        if self._prompt_seen and self._first.seconds is None:
            self._first.seconds = time.perf_counter() - self._first.start
        self._prompt_seen = True
        super().put(value)


def load(folder: Path, device: str) -> VideoXLForConditionalGeneration:
    """The model of a folder with its processor.

    Raises:
        CannotAskError: it is not there, or has no tokenizer.
    """
    if not (folder / "config.json").is_file():
        raise CannotAskError(
            f"no model at {folder}: name one with --model or {MODEL_VARIABLE} (python -m model.convert makes one "
            "from a published checkpoint)"
        )
    if not (folder / "processor_config.json").is_file():
        raise CannotAskError(
            f"{folder} has no processor_config.json: convert the checkpoint with its tokenizer beside it"
        )
    model = VideoXLForConditionalGeneration.from_pretrained(folder, dtype="auto").to(device).eval()
    model.processor = VideoXLProcessor.from_pretrained(folder)
    return model


def watch(model: VideoXLForConditionalGeneration, options: argparse.Namespace) -> Memory:
    """A memory of the video: from its file, or made now and written there.

    Raises:
        CannotAskError: positions run out, or the file is a memory of something else.
    """
    facts = decode.read_facts(str(options.video))
    times = frame_times(facts.duration_s, options.fps, options.frames)
    ratio = options.ratio or (USUAL_RATIO if USUAL_RATIO in model.config.ratios else min(model.config.ratios))
    check_ratio(ratio, model.config)
    asked = RECIPES[options.recipe].question if options.recipe is not None else options.question or ""
    processor = model.processor
    text_tokens = len(processor.prefix_ids()) + len(processor.question_ids(asked)) + options.max_new_tokens
    check_positions_fit(model.config, len(times), ratio, options.positions, text_tokens)
    size = os.stat(options.video).st_size
    spread = f"{options.fps:g} a second" if options.frames is None else "evenly spread"
    label = f"{options.video.name} ({size} bytes), {len(times)} frames {spread} at ratio {ratio}, {options.positions}"
    if options.memory is not None and options.memory.is_file():
        memory = Memory.load(options.memory, model)
        if memory.state.label != label:
            raise CannotAskError(
                f"{options.memory} holds {memory.state.label or 'something else'}, not {label}: name another file"
            )
        return memory
    pictures = decode.pick_frames(str(options.video), facts, times.tolist())
    with StageProgress(["watching"], options.log_json) as progress:
        watched = progress.track(pictures, "watching", len(times))
        memory = model.compress(watched, ratio=ratio, positions=options.positions).close()
    memory.state.label = label
    if options.memory is not None:
        memory.save(options.memory)
    return memory


def answer(
    model: VideoXLForConditionalGeneration, memory: Memory, question: str, options: argparse.Namespace
) -> tuple[str, float | None]:
    """The answer, printed as it comes unless --json is given, and seconds to its first token.

    Raises:
        CannotAskError: there are no positions left for so long a question.
    """
    needed = memory.positions_used + len(model.processor.question_ids(question)) + options.max_new_tokens
    limit = position_limit(model.config.text_config, options.positions)
    if needed > limit:
        raise CannotAskError(
            f"the question, behind {memory.positions_used} positions of the video, needs {needed}, but the model has "
            f"{limit}: ask in fewer words, or try a higher --ratio or --max-new-tokens below {options.max_new_tokens}")
    first = FirstToken(time.perf_counter())
    streamer = None if options.json else AnswerStreamer(model.processor.tokenizer, first)
    said = model.answer(
        memory, question, streamer=streamer, max_new_tokens=options.max_new_tokens, do_sample=options.sample)
    return said, first.seconds


def show(question: str, said: str, shown: WhereShown | None, options: argparse.Namespace, console: Console) -> None:
    """What stands behind an answer: where it looked, and with --json everything."""
    placing = "above" if options.recipe is None else RECIPES[options.recipe].placing
    found = None if shown is None else shown.find(question, said, placing)
    if options.json:
        print(json.dumps({"question": question, "answer": said} | ({} if found is None else found.as_json())))
    elif found is not None:
        print_where(found, console)


def questions(options: argparse.Namespace) -> Iterator[str]:
    """The question of the call or its recipe, or those typed until an empty line or the end of the input."""
    if options.recipe is not None:
        yield RECIPES[options.recipe].question
        return
    if options.question is not None:
        yield options.question
        return
    while True:
        print("? ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline().strip()
        if not line:
            return
        yield line


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="ask-video", description=__doc__.split("\n\n")[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("question", nargs="?", help="left out: asks for questions")
    parser.add_argument("--model", type=Path, help=f"folder of the model; left out: {MODEL_VARIABLE}")
    parser.add_argument("--ratio", type=int, help=f"compression ratio; left out: {USUAL_RATIO}")
    count = parser.add_mutually_exclusive_group()
    count.add_argument("--fps", type=float, default=1.0, help="frames a second; left out: 1")
    count.add_argument("--frames", type=int, help="this many frames, evenly spread")
    parser.add_argument("--memory", type=Path, help="file that keeps what was seen")
    parser.add_argument("--recipe", choices=RECIPES, help="a ready question, in place of one's own; says where")
    parser.add_argument("--where", nargs="?", type=file_of, const=False, metavar="FILE",
                        help="say where the answer looked; and draw it into a .png or .html file")
    parser.add_argument("--json", action="store_true", help="an object a line: question, answer, spans")
    parser.add_argument("--positions", choices=get_args(Positions), default="published")
    parser.add_argument("--max-new-tokens", type=int, default=256)
    parser.add_argument("--sample", action="store_true", help="draw the answer instead of taking the likeliest words")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add_log_json(parser)
    options = parser.parse_args(arguments)
    if options.model is None:
        if MODEL_VARIABLE not in os.environ:
            parser.error(f"name the model with --model or the variable {MODEL_VARIABLE}")
        options.model = Path(os.environ[MODEL_VARIABLE])
    if not options.fps > 0:
        parser.error("--fps must be more than 0")
    if options.frames is not None and options.frames < 1:
        parser.error("--frames must be at least 1")
    if options.recipe is not None and options.question is not None:
        parser.error("--recipe has its own question: leave yours out")
    if options.max_new_tokens < 1:
        parser.error("--max-new-tokens must be at least 1")
    if not options.video.is_file():
        parser.error(f"no video at {options.video}")
    for written in filter(None, (options.memory, options.where)):
        if not written.parent.is_dir():
            parser.error(f"no folder {written.parent} to write {written.name} into")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    options = read_options(arguments)
    console = Console(stderr=True)
    try:
        model = load(options.model, options.device)
        start = time.perf_counter()
        memory = watch(model, options)
        console.print(
            f"{memory.frames} frames in {time.perf_counter() - start:.1f} s, {memory.nbytes / 1e6:.1f} MB kept"
        )
        wanted = options.recipe is not None or options.where is not None
        shown = WhereShown(model, memory, options.video, options.where or None) if wanted else None
        for question in questions(options):
            said, seconds = answer(model, memory, question, options)
            show(question, said, shown, options, console)
            if not options.json:
                console.print(f"first token after {seconds:.2f} s" if seconds is not None else "no answer")
    except (CannotAskError, decode.UnreadableVideoError, ValueError) as error:
        console.print(str(error), style="red", markup=False)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
