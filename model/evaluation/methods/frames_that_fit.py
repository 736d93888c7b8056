"""How many frames fit into a given memory, for each way to look.

What a frame costs is measured on a model of any size, for it is a count: rows of keys and values that stay, and visual
tokens that must be held until the video ends. Bytes follow from the sizes of the model that is asked about. The number
can be tried as well: a memory of so many frames is filled, one more pass is run, a question is asked.

V visual tokens of a frame, C size of a token.
"""
# ruff: noqa: N806 (names end in the shape of the tensor)

import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from model import pass_size
from model.configuration import VideoXLConfig
from model.evaluation.methods.limited_memory import runs_within
from model.evaluation.methods.method import VST, Method
from model.evaluation.methods.watch import Looked, watch
from model.memory import Memory
from model.modeling_video_xl import VideoXLForConditionalGeneration

_PREFIX, _QUESTION = [1], [2, 3]
_FILLED_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class FrameCost:
    """What one more frame takes.

    Attributes:
        method: the way to look.
        rows: rows of keys and values that stay, in every layer.
        held: visual tokens of this many frames that are held until the last has come.
    """

    method: Method
    rows: float
    held: float

    def bytes_of(self, config: VideoXLConfig, element_bytes: int = 2) -> float:
        """Bytes at the sizes of a model, one number taking `element_bytes`."""
        held = self.held * config.tokens_per_crop * config.text_config.hidden_size
        return element_bytes * (self.rows * row_numbers(config) + held)


def row_numbers(config: VideoXLConfig) -> int:
    """Numbers in the keys and values of one row, all layers together."""
    text = config.text_config
    return 2 * text.num_hidden_layers * text.num_key_value_heads * (text.hidden_size // text.num_attention_heads)


def frame_cost(model: VideoXLForConditionalGeneration, method: Method, frames: int) -> FrameCost:
    """Measure by looking at `frames` frames and at twice as many.

    Args:
        model: of any size, with the token counts that are asked about.
        method: the way; its factor should divide `frames`.
        frames: enough to be over what a way holds at any length.
    """
    (rows, held), (more_rows, more_held) = (_look(model, method, count) for count in (frames, 2 * frames))
    return FrameCost(method, (more_rows - rows) / frames, (more_held - held) / frames)


def frames_in(
    memory_bytes: float, fixed_bytes: float, cost: FrameCost, config: VideoXLConfig, element_bytes: int = 2
) -> int:
    """Frames that fit behind what is there before the first (weights, workspace)."""
    return max(0, int((memory_bytes - fixed_bytes) // cost.bytes_of(config, element_bytes)))


def largest(fits: Callable[[int], bool], likely: int) -> int:
    """The largest count that fits, to one in a hundred; `fits` is called as seldom as that allows.

    Args:
        fits: whether so many fit; if a count does, so do all below.
        likely: where to begin.
    """
    low, high = 0, max(1, likely)
    while fits(high):
        low, high = high, 2 * high
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def tried(model: VideoXLForConditionalGeneration, cost: FrameCost, frames: int, memory_bytes: int) -> bool:
    """Whether so many frames fit: fill, run one more pass, ask.

    Args:
        model: on a CPU, one that has looked in this way already.
        cost: of a frame.
        frames: that are to fit.
        memory_bytes: on a CPU, beside what this process has; a GPU has a limit of its own, set by the caller.

    Raises:
        TryError: it failed for another reason than a full memory of the CPU.
    """
    if model.device.type == "cpu":
        return runs_within(memory_bytes, lambda: _fill_and_ask(model, cost, frames))
    try:
        _fill_and_ask(model, cost, frames)
    except torch.OutOfMemoryError:
        return False
    finally:
        gc.collect()
        torch.cuda.empty_cache()
    return True


@torch.no_grad()
def _fill_and_ask(model: VideoXLForConditionalGeneration, cost: FrameCost, frames: int) -> int:
    """Returns the bytes that are kept and held."""
    config = model.config
    memory = Memory.begin(model, torch.tensor(_PREFIX), cost.method.factor if cost.method.name == VST else 1)
    _fill(memory, model, round(frames * cost.rows))
    held = torch.empty(
        round(frames * cost.held) * config.tokens_per_crop, config.text_config.hidden_size, device=model.device,
        dtype=model.dtype)
    windows = pass_size.windows_per_pass(None, config, model.device)
    memory.extend_tokens(torch.cat([tokens for _, tokens in _film(model, _whole_windows(config, windows))]))
    model(torch.tensor([_QUESTION], device=model.device), past_key_values=memory.cache())
    return memory.nbytes + held.nbytes


def _whole_windows(config: VideoXLConfig, windows: int) -> int:
    return windows * config.window_tokens // config.tokens_per_crop


def _fill(memory: Memory, model: VideoXLForConditionalGeneration, rows: int) -> None:
    text = model.config.text_config
    head = text.hidden_size // text.num_attention_heads
    for done in range(0, rows, _FILLED_AT_ONCE):
        shape = text.num_key_value_heads, min(_FILLED_AT_ONCE, rows - done), head
        filling = torch.zeros(shape, device=model.device, dtype=model.dtype)
        for layer in range(text.num_hidden_layers):
            memory.rows.append(layer, filling, filling)


def _film(model: VideoXLForConditionalGeneration, frames: int) -> Iterator[Looked]:
    generator = torch.Generator(model.device).manual_seed(0)
    shape = model.config.tokens_per_crop, model.config.text_config.hidden_size
    for _ in range(frames):
        yield None, torch.randn(shape, generator=generator, device=model.device, dtype=model.dtype)


def _look(model: VideoXLForConditionalGeneration, method: Method, frames: int) -> tuple[int, int]:
    """Rows that stay of a video, and the most frames of it whose tokens were held at one time, by the way itself or, of
    ways that ask first, by the harness for the next question (`MethodAnswerer.look_at`).
    """
    alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    most = 0

    def counted() -> Iterator[Looked]:
        nonlocal most
        for time_s, tokens_VC in _film(model, frames):
            alive.add(tokens_VC)
            most = max(most, len(alive))
            yield time_s, tokens_VC

    memory = watch(model, method, list(counted()) if method.asks_first else counted(), _PREFIX, _QUESTION,
                   windows_per_pass=1)
    return memory.positions_used, most
