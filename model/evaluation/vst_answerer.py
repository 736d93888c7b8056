"""Video-XL's own way to look at a video: compressed into the keys and values of its VSTs, once for all questions."""
# ruff: noqa: N806 (names end in the shape of the tensor)

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.evaluation.question import Question, Reply
from model.evaluation.viewing import Picture
from model.fingerprint import fingerprint
from model.memory import Memory
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from model.ratio_choice import PUBLISHED_SEED, DrawnRatio, RatioChoice, check_ratio
from model.rotary import Positions, position_limit
from model.where import where

# Said in full: what is left out, the checkpoint's generation_config.json decides.
_GREEDY = {"do_sample": False, "num_beams": 1, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0}


def prompt_ids(
    processor: VideoXLProcessor, system: str | None, words: str, prefill: str
) -> tuple[list[int], list[int]]:
    """Ids of what stands in front of the video and behind it.

    Args:
        system: words of the system's turn; None: the usual ones.
        words: the question.
        prefill: what the answer is made to begin with.
    """
    chat: list[dict[str, Any]] = [] if system is None else [{"role": "system", "content": system}]
    chat.append({"role": "user", "content": [{"type": "video"}, {"type": "text", "text": words}]})
    prompt = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False) + prefill
    before, behind = prompt.split("<video>", 1)
    return processor.text_ids(before), processor.text_ids(behind)


class VstAnswerer:
    """Answers by one model at one ratio; see `model.evaluation.answerer.Answerer`.

    Args:
        model: with its processor set.
        ratios: one, for every window; several: drawn for each window, by the same seed for every video, so that answers
            do not depend on the order of the videos.
        positions: "published" or "yarn".

    Raises:
        ValueError: the model has not such a ratio.
    """

    method = "vst"

    def __init__(
        self, model: VideoXLForConditionalGeneration, ratios: Sequence[int], positions: Positions = "published"
    ) -> None:
        self._model, self._processor = model, model._need_processor()
        self._ratios, self._positions = tuple(ratios), positions
        check_ratio(self._choice(), model.config)
        self.ratio = " ".join(map(str, self._ratios))
        self.settings = {
            "model": fingerprint(model), "method": self.method, "ratio": self.ratio, "positions": positions,
            "position_limit": position_limit(model.config.text_config, positions)}

    def _choice(self) -> RatioChoice:
        if len(self._ratios) == 1:
            return self._ratios[0]
        return DrawnRatio(self._ratios, np.random.default_rng(PUBLISHED_SEED))

    def prepare(self, picture: Picture, is_image: bool) -> Tensor:
        """See `Answerer`."""
        if is_image:
            return self._processor.image_pixels(picture)
        return self._processor.frame_pixels(picture)[None]

    def look(self, frames: Iterator[tuple[float | None, Tensor]], system: str | None) -> "SeenAsVst":
        """See `Answerer`."""
        prefix_ids, _ = prompt_ids(self._processor, system, "", "")
        bare = (pixels if time_s is None else (time_s, pixels) for time_s, pixels in frames)
        memory = self._model.compress(bare, self._choice(), prefix_ids, self._positions).close()
        return SeenAsVst(self._model, self._processor, memory)


class SeenAsVst:
    """A memory that is asked; see `model.evaluation.answerer.Seen`."""

    def __init__(self, model: VideoXLForConditionalGeneration, processor: VideoXLProcessor, memory: Memory) -> None:
        self._model, self._processor, self._memory = model, processor, memory

    @property
    def times_s(self) -> list[float | None]:
        """Of each frame or tile."""
        return self._memory.state.times_s

    @property
    def positions(self) -> int:
        """Of the text in front and the VSTs."""
        return self._memory.positions_used

    def reply(self, question: Question) -> Reply:
        """Greedy decoding, or one pass over the given answer."""
        tokenizer = self._processor.tokenizer
        if question.teacher_forced:
            wanted, logits_AT = self._given(question)
            likeliest = logits_AT.argmax(-1)
            positions = len(self._ids(question)) + len(wanted)
            said = tokenizer.decode(likeliest, skip_special_tokens=True)
            return Reply(said, bool((likeliest == wanted).all()), positions=positions)
        ids = self._ids(question)
        new = self._model.generate(
            input_ids=torch.tensor([ids], device=self._model.device), past_key_values=self._memory.cache(self._model),
            max_new_tokens=question.most_tokens, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id, **_GREEDY)
        text = tokenizer.decode(new[0, len(ids):], skip_special_tokens=True).strip()
        if question.placing is None:
            return Reply(text, positions=new.shape[1])
        found = where(self._model, self._memory, ids, text, question.placing)
        spans = tuple((span.start_s, span.end_s) for span in found.spans)
        return Reply(text, spans=spans, positions=new.shape[1])

    def log_likelihood(self, question: Question) -> tuple[float, bool]:
        """Natural logarithm of the probability of the given answer, and whether greedy decoding gives it."""
        wanted, logits_AT = self._given(question)
        logs_A = logits_AT.float().log_softmax(-1).gather(1, wanted[:, None])
        return float(logs_A.sum()), bool((logits_AT.argmax(-1) == wanted).all())

    def _ids(self, question: Question) -> list[int]:
        """Of all that stands between the video and the answer."""
        _, ids = prompt_ids(self._processor, question.system, question.words(self.times_s), question.prefill)
        return ids

    @torch.no_grad()
    def _given(self, question: Question) -> tuple[Tensor, Tensor]:
        """Ids of the answer [A], with its end if that counts, and the logits [A, vocabulary] where each is to come."""
        ids = self._ids(question)
        end = [self._processor.tokenizer.eos_token_id] if question.answer_ends else []
        wanted = torch.tensor(self._processor.text_ids(question.answer) + end, device=self._model.device)
        asked = torch.cat((torch.tensor(ids, device=self._model.device), wanted[:-1]))[None]
        logits_QT = self._model(asked, past_key_values=self._memory.cache(self._model)).logits[0]
        return wanted, logits_QT[len(ids) - 1:]
