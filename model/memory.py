"""A memory of a video: what is left of it in the language model, to be asked any number of questions.

It holds the keys and values of the text in front of the video and of every VST, and the visual tokens of the
last, unfinished window, which stay raw until the window is full or the stream is closed. A question asked in
between is answered as if the stream ended there; the memory itself stays open.
"""
# ruff: noqa: N803 (names end in the shape of the tensor)

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from model import pass_size
from model.fingerprint import fingerprint
from model.frame_input import frame_pixels, timed
from model.kept_rows import KeptRows
from model.memory_file import read_memory_file, write_memory_file
from model.pass_size import check_count
from model.ratio_choice import DrawnRatio, RatioChoice, check_enough_tokens, check_ratio
from model.rotary import Positions, check_positions
from model.stream_cache import StreamCache, StreamCaches
from model.vision import check_visual_tokens
from model.visual_reader import VisualReader
from model.window_layout import Step, Text, Visual, kept_count, plan_steps

if TYPE_CHECKING:
    from model.modeling_video_xl import VideoXLForConditionalGeneration


@dataclass
class MemoryState:
    """Everything about a memory that is not a large tensor.

    Attributes:
        fingerprint: of the model that made it.
        positions: how positions become angles, fixed when the memory is begun.
        ratio: how the ratio of each window is chosen.
        prefix_tokens: text tokens in front of the video.
        window_ratios: ratio of each finished window.
        window_tokens: visual tokens of each finished window; all are full but for the last of a closed
            stream.
        times_s: time of each frame in seconds, or None for a frame given without one.
        closed: whether the stream has ended.
        label: what the memory is of, in whatever words its maker likes.
        token_frames: where other than whole frames were given (`Memory.extend_reduced`): first and last frame that
            each visual token stands for.
    """

    fingerprint: str
    positions: Positions
    ratio: RatioChoice
    prefix_tokens: int
    window_ratios: list[int]
    window_tokens: list[int]
    times_s: list[float | None]
    closed: bool
    label: str = ""
    token_frames: list[tuple[int, int]] | None = None


class Memory:
    """See the top of the file. Made by `VideoXLForConditionalGeneration.compress` or `Memory.load`.

    Attributes:
        state: everything that is not a large tensor.
        rows: kept keys and values of the prefix and of all finished windows.
    """

    def __init__(
        self, model: "VideoXLForConditionalGeneration", state: MemoryState, rows: KeptRows, raw_VC: Tensor
    ) -> None:
        self._model = model
        self.state = state
        self.rows = rows
        self._raw_VC = raw_VC
        self._provisional: tuple[KeptRows, int] | None = None  # rows and ratio of the unfinished window

    @classmethod
    @torch.no_grad()
    def begin(
        cls,
        model: "VideoXLForConditionalGeneration",
        prefix_ids: Tensor,
        ratio: RatioChoice,
        positions: Positions = "published",
    ) -> "Memory":
        """A memory that has read the text in front of the video, and no frame yet.

        Raises:
            ValueError, TypeError: an unknown ratio or way with positions.
        """
        check_ratio(ratio, model.config)
        check_positions(positions)
        rows = KeptRows(model.config.text_config.num_hidden_layers)
        if len(prefix_ids):
            steps = plan_steps([Text(len(prefix_ids))], model.config.window_tokens)
            model.model.run_pass([steps], prefix_ids, None, [rows], positions, keep=True)
        weight = model.model.projector.linear_2.weight
        raw = weight.new_empty(0, weight.shape[0])
        # A generator given by the caller is the caller's: this memory draws from a copy.
        state = MemoryState(fingerprint(model), positions, _own(ratio), len(prefix_ids), [], [], [], False)
        return cls(model, state, rows, raw)

    @property
    def frames(self) -> int:
        """Frames seen."""
        return len(self.state.times_s)

    @property
    def tokens_per_frame(self) -> int:
        """Visual tokens of a frame."""
        return self._model.config.tokens_per_crop

    @property
    def ratios(self) -> tuple[int, ...]:
        """Ratio of each finished window."""
        return tuple(self.state.window_ratios)

    @property
    def positions_used(self) -> int:
        """Positions taken by what is kept; a question's positions come behind them."""
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """Bytes of the kept keys and values and of the raw tokens."""
        return self.rows.nbytes + self._raw_VC.nbytes

    @property
    def raw_tokens(self) -> int:
        """Visual tokens of the unfinished window."""
        return self._raw_VC.shape[0]

    @torch.no_grad()
    def extend(
        self,
        frames: Iterable[Any],
        windows_per_pass: int | None = None,
        frames_per_chunk: int | None = None,
    ) -> "Memory":
        """Watch the next frames; returns this memory.

        Args:
            frames, windows_per_pass, frames_per_chunk: as for `VideoXLForConditionalGeneration.compress`.

        Raises:
            ValueError, TypeError: the stream is closed, the model's weights have changed, or a frame is bad.
        """
        self._check_open(windows_per_pass)
        check_count("frames_per_chunk", frames_per_chunk, "as many as suit the device")
        on_cpu = self._model.device.type == "cpu"
        chunk = frames_per_chunk or (1 if on_cpu else pass_size.frames_per_chunk(self._model.config))
        times: list[float | None] = []

        def encode(pixels: Tensor) -> Tensor:
            tokens = self._model.model.encode(pixels)
            self.state.times_s += times  # not before: what a full device could not encode is not counted
            return tokens

        self._consume(VisualReader(self._chunks(iter(frames), chunk, times), encode, self._raw_VC), windows_per_pass)
        return self

    @torch.no_grad()
    def extend_tokens(
        self, tokens_VC: Tensor, windows_per_pass: int | None = None, times_s: Sequence[float | None] | None = None
    ) -> "Memory":
        """Take in finished visual tokens of whole frames, [V, C]; returns this memory.

        Args:
            tokens_VC: made by `VideoXLModel.encode`, of this model or not.
            windows_per_pass: as for `extend`.
            times_s: of each frame in seconds.

        Raises:
            ValueError: the stream is closed, the model's weights have changed, or the shape is wrong.
        """
        self._check_open(windows_per_pass)
        check_visual_tokens(tokens_VC, self._model.config)
        frames = tokens_VC.shape[0] // self._model.config.tokens_per_crop
        self.state.times_s += [None] * frames if times_s is None else times_s
        self._take_in(tokens_VC, windows_per_pass)
        return self

    @torch.no_grad()
    def extend_reduced(
        self, tokens_VC: Tensor, token_frames: Sequence[tuple[int, int]], windows_per_pass: int | None = None
    ) -> "Memory":
        """Take in what another way of looking left of some frames; returns this memory.

        `state.times_s` is left to the caller, who knows which frames were seen.

        Args:
            tokens_VC: any number of visual tokens, [V, C].
            token_frames: first and last frame, from 0, that each token stands for.
            windows_per_pass: as for `extend`.

        Raises:
            ValueError: the memory compresses by itself, the stream is closed, or the model's weights have changed.
        """
        self._check_open(windows_per_pass)
        if self.state.ratio != 1:
            raise ValueError(f"reduced tokens go into a memory of ratio 1, not {self.state.ratio}")
        self.state.token_frames = [*(self.state.token_frames or ()), *token_frames]
        self._take_in(tokens_VC, windows_per_pass)
        return self

    def _take_in(self, tokens_VC: Tensor, windows_per_pass: int | None) -> None:
        waiting = torch.cat((self._raw_VC, tokens_VC.to(self._raw_VC)))
        self._consume(VisualReader(iter(()), self._model.model.encode, waiting), windows_per_pass)

    def _consume(self, reader: VisualReader, windows_per_pass: int | None) -> None:
        """Compress every window that fills, and keep the rest raw."""
        window, device = self._model.config.window_tokens, self._model.device
        # On a CPU one at a time: larger groups win little there, and so a cut stream gives the bits of an
        # uncut one.
        windows = windows_per_pass or (
            1 if device.type == "cpu" else pass_size.windows_per_pass(None, self._model.config, device)
        )
        self._provisional = None
        taken = self._raw_VC[:0]
        try:
            while (waiting := reader.fill(windows * window)) >= window:
                lengths = [window] * min(windows, waiting // window)
                taken = reader.take(sum(lengths))
                choice = _own(self.state.ratio)
                first = len(self.state.window_ratios)
                ratios = [self._draw(choice, first + i, window) for i in range(len(lengths))]
                self._compress(taken, lengths, ratios, self.rows)
                taken = self._raw_VC[:0]
                self.state.ratio = choice
                self.state.window_tokens += lengths
                self.state.window_ratios += ratios
        finally:
            # A bad frame or a full device ends the call, not the memory: what `frames` counts stays.
            self._raw_VC = torch.cat((taken, reader.rest(taken)))

    @torch.no_grad()
    def close(self) -> "Memory":
        """End the stream: the last window is compressed and no frame can follow; returns this memory.

        Raises:
            RatioDoesNotFitError: there are too few visual tokens for the ratio, or none of several divides them.
        """
        if not self.state.closed and self.raw_tokens:
            self._check_model(self._model)
            ratio = self._last_ratio(self.state.ratio)
            self._compress(self._raw_VC, [self.raw_tokens], [ratio], self.rows)
            self.state.window_tokens.append(self.raw_tokens)
            self.state.window_ratios.append(ratio)
            self._raw_VC, self._provisional = self._raw_VC[:0].clone(), None
        self.state.closed = True
        return self

    @torch.no_grad()
    def cache(self, model: "VideoXLForConditionalGeneration | None" = None) -> StreamCaches:
        """A place to continue from, as `past_key_values`: one for each question, this memory shared by all.

        Args:
            model: the model that will continue; left out: the one that made or loaded the memory.

        Raises:
            RatioDoesNotFitError: as for `close`.
            ValueError: the model is not the one that made the memory, or is on another device.
        """
        self._check_model(model or self._model)
        shared, ratios = self.rows, self.ratios
        if self.raw_tokens:
            if self._provisional is None:
                # Draws of a question must not change the draws of the stream.
                ratio = self._last_ratio(_own(self.state.ratio))
                rows = KeptRows(self.rows.layers, self.rows.view())
                self._compress(self._raw_VC, [self.raw_tokens], [ratio], rows)
                self._provisional = rows, ratio
            shared, ratios = self._provisional[0], (*ratios, self._provisional[1])
        return StreamCaches([StreamCache(KeptRows(shared.layers, shared.view()), self.state.positions, ratios)])

    def to(self, device: torch.device | str, model: "VideoXLForConditionalGeneration | None" = None) -> "Memory":
        """The same memory on another device, for the model there (left out: its own model, once moved)."""
        return Memory(model or self._model, copy.deepcopy(self.state), self.rows.to(device), self._raw_VC.to(device))

    def save(self, path: str | Path, dtype: str | None = None) -> None:
        """Write the memory to a file; it appears whole or not at all.

        Args:
            path: a file name; `.safetensors` is usual.
            dtype: "float16", "bfloat16" or "int8" (one scale a row and head); left out: as it is, exactly.
        """
        write_memory_file(Path(path), self.state, self.rows.contiguous(), self._raw_VC, dtype)

    @classmethod
    def load(cls, path: str | Path, model: "VideoXLForConditionalGeneration") -> "Memory":
        """Read a memory, onto the model's device.

        Raises:
            ValueError: the file is no memory or is damaged, or the memory is another model's.
        """
        fields, layers, raw = read_memory_file(Path(path))
        expected = model.config.text_config.num_hidden_layers
        if fields.keys() != MemoryState.__dataclass_fields__.keys() or len(layers) != expected:
            raise ValueError(
                f"{path} is damaged, or another version's or model's memory: it holds {len(layers)} layers, the model "
                f"{expected}, and of its state {', '.join(sorted(fields))}")
        state = MemoryState(**fields)
        weight = model.model.projector.linear_2.weight
        rows = KeptRows(len(layers))
        for index, (layer, pair) in enumerate(zip(model.model.language_model.layers, layers, strict=True)):
            place = layer.mlp.gate_proj.weight.device
            place = weight.device if place.type == "meta" else place  # a layer that a device map keeps on disk
            rows.append(index, *(t.to(device=place, dtype=weight.dtype) for t in pair))
        memory = cls(model, state, rows, raw.to(device=weight.device, dtype=weight.dtype))
        memory._check_model(model)
        return memory

    def vst_frames(self) -> list[tuple[int, int]]:
        """For each kept VST (at ratio 1: visual token) of a finished window its first and last frame."""
        if self.state.token_frames is not None:
            return [tuple(pair) for pair in self.state.token_frames[: sum(self.state.window_tokens)]]
        spans = []
        start, per_frame = 0, self._model.config.tokens_per_crop
        for tokens, ratio in zip(self.state.window_tokens, self.state.window_ratios, strict=True):
            for index in range(kept_count(tokens, ratio)):
                first = start + index * ratio
                last = start + min((index + 1) * ratio, tokens) - 1
                spans.append((first // per_frame, last // per_frame))
            start += tokens
        return spans

    def _chunks(self, frames: Iterator[Any], size: int, times: list[float | None]) -> Iterator[Tensor]:
        """Frames as stacks of pixel values, each checked as it comes; `times` becomes those of the stack just given."""
        stack: list[Tensor] = []
        times.clear()
        for item in frames:
            time_s, frame = timed(item)
            stack.append(frame_pixels(frame, self._model, self.frames + len(times)))
            times.append(time_s)
            if len(stack) == size:
                yield torch.stack(stack)
                stack = []
                times.clear()
        if stack:
            yield torch.stack(stack)

    def _compress(self, tokens_VC: Tensor, lengths: Sequence[int], ratios: Sequence[int], rows: KeptRows) -> None:
        """Run consecutive windows as one pass and append what they leave."""
        steps: list[Step] = []
        rank = len(rows)
        for tokens, ratio in zip(lengths, ratios, strict=True):
            steps += plan_steps([Visual(tokens, (ratio,))], self._model.config.window_tokens, rank)
            rank += kept_count(tokens, ratio)
        no_text = torch.empty(0, dtype=torch.long)
        reader = VisualReader(iter(()), self._model.model.encode, tokens_VC)
        self._model.model.run_pass([steps], no_text, reader, [rows], self.state.positions, keep=True)

    def _draw(self, choice: RatioChoice, window: int, tokens: int) -> int:
        if isinstance(choice, DrawnRatio):
            return choice.draw(tokens)
        if isinstance(choice, Sequence):
            if window >= len(choice):
                raise ValueError(f"window {window} has no ratio: {len(choice)} were given; give one for all windows")
            return int(choice[window])
        return int(choice)

    def _last_ratio(self, choice: RatioChoice) -> int:
        ratio = self._draw(choice, len(self.state.window_ratios), self.raw_tokens)
        if not self.state.window_ratios:
            check_enough_tokens(self.raw_tokens, ratio)
        return ratio

    def _check_open(self, windows_per_pass: int | None) -> None:
        if self.state.closed:
            raise ValueError("this memory's stream is closed: begin a new one with model.compress")
        check_count("windows_per_pass", windows_per_pass, "as many as suit the device")
        self._check_model(self._model)

    def _check_model(self, model: "VideoXLForConditionalGeneration") -> None:
        if fingerprint(model) != self.state.fingerprint:
            raise ValueError(
                "this memory was made by another model, or by this one before its weights or their type changed: "
                "compress the video again with the model at hand"
            )
        where = self._raw_VC.device
        if where != model.model.projector.linear_2.weight.device:
            raise ValueError(f"the memory is on {where}, the model on {model.device}: use memory.to(model.device)")


def _own(choice: RatioChoice) -> RatioChoice:
    """The same choice, with a generator of its own where it has one."""
    return choice.copy() if isinstance(choice, DrawnRatio) else choice
