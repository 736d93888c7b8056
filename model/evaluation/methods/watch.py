"""Look at a video in some way; what comes out is a memory, whatever the way.

Ways that drop or average tokens show what is left to the language model uncompressed, as if it were text: their memory
has ratio 1, so that everything behind the look - questions, bytes, positions - is one code for all of them.

V visual tokens of a frame, C size of a token, Q tokens of a question.
"""
# ruff: noqa: N806 (names end in the shape of the tensor)

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from model import pass_size
from model.evaluation.methods.kept_tokens import Frames, Kept
from model.evaluation.methods.method import ALL, REDUCE, TWO_TOKENS, VST, Method, MethodError
from model.evaluation.methods.two_tokens import two_tokens
from model.frame_input import frame_pixels, timed
from model.memory import Memory
from model.modeling_video_xl import VideoXLForConditionalGeneration

Seconds = float | None
Looked = tuple[Seconds, Tensor]
"""Time of a frame, and its visual tokens [V, C]."""


@torch.no_grad()
def encoded(model: VideoXLForConditionalGeneration, frames: Iterable[Any]) -> Iterator[Looked]:
    """Frames through the vision tower, as they come.

    Args:
        model: whose tower.
        frames: pictures, pixel values, or pairs (time in seconds, frame), as for `compress`.

    Raises:
        TypeError, ValueError: a bad frame.
    """
    size = 1 if model.device.type == "cpu" else pass_size.frames_per_chunk(model.config)
    numbered = enumerate(map(timed, frames))
    while chunk := list(islice(numbered, size)):
        pixels = torch.stack([frame_pixels(frame, model, number) for number, (_, frame) in chunk])
        tokens_FVC = model.model.encode(pixels).unflatten(0, (len(chunk), -1))
        yield from zip((time_s for _, (time_s, _) in chunk), tokens_FVC, strict=True)


@torch.no_grad()
def watch(
    model: VideoXLForConditionalGeneration, method: Method, frames: Iterable[Looked],
    prefix_ids: Sequence[int] | None = None, question_ids: Sequence[int] | None = None,
    windows_per_pass: int | None = None,
) -> Memory:
    """Look at a whole video.

    Args:
        model: in evaluation mode.
        method: the way.
        frames: time in seconds and visual tokens [V, C] of one frame after another; see `encoded`.
        prefix_ids: ids of the text in front of the video; left out: the processor's usual prompt.
        question_ids: ids of the question, for a way that asks first.
        windows_per_pass: tokens that go through the language model at once; left out: as many as suit the device.

    Returns:
        A closed memory. Its `vst_frames` say which frames a kept token stands for, its `times_s` when those were.

    Raises:
        MethodError: the way asks first, and there is no question.
        ValueError: zero frames, or the factor does not fit the model.
    """
    prefix = torch.tensor(model.processor.prefix_ids() if prefix_ids is None else prefix_ids)
    memory = Memory.begin(model, prefix, method.factor if method.name == VST else 1, method.positions)
    frames = iter(frames)
    enough = model.config.window_tokens * pass_size.windows_per_pass(windows_per_pass, model.config, model.device)
    if method.name in (VST, ALL):
        while chunk := list(islice(frames, max(1, enough // model.config.tokens_per_crop))):
            times_s, tokens = zip(*chunk, strict=True)
            memory.extend_tokens(torch.cat(tokens), times_s=list(times_s))
    else:
        kept = _reduced(model, method, _noting(frames, memory.state.times_s), question_ids)
        for many in _passes(kept, enough):
            memory.extend_reduced(many.tokens_KC, many.frames)
    if memory.frames == 0:
        raise ValueError("zero frames were given: give at least one frame")
    return memory.close()


def _reduced(
    model: VideoXLForConditionalGeneration, method: Method, frames: Frames, question_ids: Sequence[int] | None
) -> Iterator[Kept]:
    reduce = REDUCE.get(method.name)
    if method.name == TWO_TOKENS:
        if question_ids is None:
            raise MethodError(f"{method} looks with the question in mind: give the question first")
        reduce = partial(two_tokens, question_QC=embedded(model, question_ids))
    return reduce(frames, method.factor)


def _passes(kept: Iterator[Kept], enough: int) -> Iterator[Kept]:
    """The same tokens, in lots of `enough` or a few more."""
    lot: list[Kept] = []
    for one in kept:
        lot.append(one)
        if sum(len(some.frames) for some in lot) >= enough:
            yield _joined(lot)
            lot = []
    if lot:
        yield _joined(lot)


def _joined(lot: Sequence[Kept]) -> Kept:
    return Kept(torch.cat([one.tokens_KC for one in lot]), [pair for one in lot for pair in one.frames])


def embedded(model: VideoXLForConditionalGeneration, ids: Sequence[int]) -> Tensor:
    """The language model's embeddings of some ids, [Q, C]."""
    return model.get_input_embeddings()(torch.tensor(ids, device=model.device))


def _noting(frames: Iterator[Looked], times_s: list[Seconds]) -> Frames:
    for time_s, tokens_VC in frames:
        times_s.append(time_s)
        yield tokens_VC
