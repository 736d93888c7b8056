"""What a model answers to held-out questions.

All questions about a stretch are asked in one pass behind one compression of it, each blind to the others, with the
right answer in place: that every token of it is the likeliest one where it stands says that greedy decoding gives this
answer, and nothing has to be generated. Of multiple choice it is asked which option's letter is likeliest.
"""

# ruff: noqa: N803, N806 (names end in the shape of the tensor)

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from model.evaluation.held_out import AskedSpan, StoredFrames
from model.evaluation.methods.method import ALL, REDUCE, VST, Method
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from model.token_loss import IGNORED_LABEL
from model.training.training_ids import TrainingIds, training_ids

Seen = Literal["shown", "shuffled", "black"]
_MOST_TOGETHER = 16
_LETTERS = "ABCDEFGH"


class LetterError(Exception):
    """The tokenizer does not give the letter of an option as a token of its own."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One question and what came of it.

    Attributes:
        right: whether the right option is the likeliest, or, of an open question, `exact`.
        exact: whether greedy decoding gives the stored answer, word for word.
        chance: how often a guess is right; 0 for open questions.
    """

    video_id: str
    sample_id: str
    kind: str
    right: bool
    exact: bool
    chance: float

    def row(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


@torch.no_grad()
def answer_spans(
    model: VideoXLForConditionalGeneration, processor: VideoXLProcessor, frames: StoredFrames,
    spans: Sequence[AskedSpan], method: Method, seen: Seen = "shown",
) -> Iterator[Answered]:
    """Ask everything.

    Args:
        model: in evaluation mode.
        frames: where the stretches' frames are.
        method: the way to look: `vst`, `all`, or one that keeps whole frames (`WHOLE_FRAMES`).
        seen: the frames as they are, the same ones in a random order, or black ones.
    """
    for span in spans:
        pixels = processor.video_pixels([_shown(frame, seen) for frame in frames.of(span)])
        if seen == "shuffled":
            generator = np.random.default_rng(zlib.crc32(f"{span.video_id} {span.start_s}".encode()))
            pixels = pixels[generator.permutation(len(pixels))]
        tokens_VC = _kept(model.model.encode(pixels), method, model.config.tokens_per_crop)
        for first in range(0, len(span.samples), _MOST_TOGETHER):
            some = span.samples[first:first + _MOST_TOGETHER]
            yield from _answer(model, processor, tokens_VC, some, method.factor if method.name == VST else 1)


def _kept(tokens_VC: Tensor, method: Method, tokens_per_frame: int) -> Tensor:
    """What the language model is shown of a stretch: all visual tokens, or whole frames that stand for several."""
    if method.name in (VST, ALL):
        return tokens_VC
    frames = iter(tokens_VC.unflatten(0, (-1, tokens_per_frame)))
    return torch.cat([kept.tokens_KC for kept in REDUCE[method.name](frames, method.factor)])


def _shown(frame: np.ndarray, seen: Seen) -> np.ndarray:
    return np.zeros_like(frame) if seen == "black" else frame


def _answer(
    model: VideoXLForConditionalGeneration, processor: VideoXLProcessor, tokens_VC: Tensor,
    samples: Sequence[dict[str, Any]], ratio: int,
) -> Iterator[Answered]:
    asked = [training_ids(processor, sample["conversations"], "chat", published_labels=False) for sample in samples]
    ids, questions = list(asked[0].shared), [0] * len(asked[0].shared)
    for number, one in enumerate(asked, 1):
        ids += one.question
        questions += [number] * len(one.question)
    logits = model(
        torch.tensor([ids]), visual_tokens=tokens_VC, question_ids=torch.tensor([questions]), ratio=ratio,
        use_cache=False).logits[0]
    begin = len(asked[0].shared)
    for sample, one in zip(samples, asked, strict=True):
        yield _judged(processor, sample, one, logits[begin:begin + len(one.question)])
        begin += len(one.question)


def _judged(
    processor: VideoXLProcessor, sample: dict[str, Any], ids: TrainingIds, logits_QT: Tensor
) -> Answered:
    """Compare what was likeliest with the answer.

    Args:
        logits_QT: at each token of the question, answer included.
    """
    labels = torch.tensor(ids.question_labels)
    places = (labels != IGNORED_LABEL).nonzero().squeeze(1)
    exact = bool((logits_QT[places - 1].argmax(1) == labels[places]).all())
    right, chance = exact, 0.0
    if sample["format"] == "multiple_choice":
        letters = _letter_ids(processor, len(sample["options"]))
        place = places[_LETTER_AT]
        if int(labels[place]) != letters[sample["answer_index"]]:
            raise LetterError(f"the answer to {sample['sample_id']} has no letter where one is expected")
        said = int(logits_QT[place - 1][letters].argmax())
        right, chance = said == sample["answer_index"], 1 / len(sample["options"])
    return Answered(sample["video_id"], sample["sample_id"], sample["kind"], right, exact, chance)


_LETTER_AT = 1
"""Answers begin with "(A)": the bracket is the first token, the letter the second."""


def _letter_ids(processor: VideoXLProcessor, options: int) -> list[int]:
    """The token of each option's letter.

    Raises:
        LetterError: bracket and letter are not two tokens.
    """
    found = []
    for letter in _LETTERS[:options]:
        ids = processor.ids(f"({letter})")
        if len(ids) < _LETTER_AT + 2:
            raise LetterError(f"({letter}) is cut into {len(ids)} tokens: bracket, letter and bracket were expected")
        found.append(ids[_LETTER_AT])
    return found
