"""What a model answers to held-out questions.

All questions about a stretch are asked in one pass behind one compression of it, each blind to the others, with the
right answer in place: that every token of it is the likeliest one where it stands says that greedy decoding gives this
answer, and nothing has to be generated. Of multiple choice it is asked which option's letter is likeliest, of an open
question that lists what it asks about which of its candidate answers is.
"""

# ruff: noqa: N803, N806 (names end in the shape of the tensor)

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from model.evaluation.candidate_answers import candidate_answers
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
        right: whether the right option or candidate is the likeliest; `exact` where there are none.
        exact: whether greedy decoding gives the stored answer, word for word.
        chance: how often a guess is right; 0 where there are neither options nor candidates.
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
    asked = [_put(processor, sample) for sample in samples]
    shared = asked[0][0].shared
    ids, questions = list(shared), [0] * len(shared)
    for number, one in enumerate(chain.from_iterable(asked), 1):
        ids += one.question
        questions += [number] * len(one.question)
    logits_IT = model(
        torch.tensor([ids]), visual_tokens=tokens_VC, question_ids=torch.tensor([questions]), ratio=ratio,
        use_cache=False).logits[0]
    begin = len(shared)
    for sample, candidates in zip(samples, asked, strict=True):
        lengths = [len(one.question) for one in candidates]
        yield _judged(processor, sample, candidates, logits_IT[begin:begin + sum(lengths)].split(lengths))
        begin += sum(lengths)


def _put(processor: VideoXLProcessor, sample: dict[str, Any]) -> list[TrainingIds]:
    """A sample with its own answer, then with each wrong candidate."""
    question, _ = sample["conversations"]
    answers = candidate_answers(sample) if sample["format"] == "open" else [sample["conversations"][1]["value"]]
    return [training_ids(processor, [question, {"from": "gpt", "value": answer}], "chat", published_labels=False)
            for answer in answers]


def _judged(
    processor: VideoXLProcessor, sample: dict[str, Any], candidates: Sequence[TrainingIds],
    logits_CQT: Sequence[Tensor],
) -> Answered:
    """Compare what was likeliest with the answer.

    Args:
        candidates: the right answer first.
        logits_CQT: of each candidate, at each token of the question, answer included.
    """
    labels_CQ = [torch.tensor(one.question_labels) for one in candidates]
    labels, logits_QT = labels_CQ[0], logits_CQT[0]
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
    elif len(candidates) > 1:
        likely_C = [_log_likelihood(*one) for one in zip(logits_CQT, labels_CQ, strict=True)]
        right, chance = likely_C[0] > max(likely_C[1:]), 1 / len(candidates)
    return Answered(sample["video_id"], sample["sample_id"], sample["kind"], right, exact, chance)


def _log_likelihood(logits_QT: Tensor, labels_Q: Tensor) -> float:
    """Of an answer, all its tokens together."""
    return -float(cross_entropy(logits_QT[:-1], labels_Q[1:], ignore_index=IGNORED_LABEL, reduction="sum"))


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
