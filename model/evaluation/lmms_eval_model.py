"""Video-XL as a model of lmms-eval (0.7): tasks, prompts and scores are lmms-eval's, looking and answering is ours.

    lmms-eval --model video_xl --model_args pretrained=DIR,ratio=8,frames=128 --tasks videomme --batch_size 1
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms
from PIL import Image
from tqdm import tqdm

from model.evaluation.decode_ahead import DecodeAhead
from model.evaluation.frame_policy import FramePolicy
from model.evaluation.question import Question
from model.evaluation.viewing import Picture, VideoStretch, Viewing
from model.evaluation.vst_answerer import SeenAsVst, VstAnswerer
from model.modeling_video_xl import VideoXLForConditionalGeneration
from model.processing_video_xl import VideoXLProcessor
from model.rotary import Positions

USUAL_TOKENS = 1024


@dataclass(frozen=True, eq=False)
class GivenPictures:
    """Pictures that a task hands over: one is an image, several are the frames of a video."""

    images: Sequence[Image.Image]
    video = "given"

    @property
    def is_image(self) -> bool:
        """Whether there is one only."""
        return len(self.images) == 1

    def files(self) -> tuple[Path, ...]:
        """None."""
        return ()

    def pictures(self, policy: FramePolicy) -> Iterator[tuple[None, Picture]]:
        """All of them: the task has chosen."""
        for image in self.images:
            yield None, np.asarray(image.convert("RGB"))


class VideoXLForLmmsEval(lmms):
    """What lmms-eval makes from --model_args.

    Args:
        pretrained: folder of the model with its processor.
        ratio: of compression; several as 2:4:8 are drawn from for each window.
        frames: of a video, evenly spread from the first to the last; with fps at most so many.
        fps: frames a second; left out: always `frames`.
        positions: "published" or "yarn".
        device: left out, or "cuda" in a run of several processes: that of accelerate.
        dtype: type of the weights; "auto": as they are stored.
        batch_size: 1.
        max_batch_size: of no matter.

    Raises:
        ValueError: another batch size, or a ratio that the model has not.
    """

    is_simple = True

    def __init__(
        self, pretrained: str, ratio: int | str = 8, frames: int = 128, fps: float | None = None,
        positions: Positions = "published", device: str | None = None, dtype: str = "auto", batch_size: int | str = 1,
        max_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        if int(batch_size) != 1:
            raise ValueError(f"batch_size must be 1, not {batch_size}: videos are looked at one by one")
        accelerator = Accelerator(cpu=device == "cpu")
        self._rank, self._world_size = accelerator.process_index, accelerator.num_processes
        self.accelerator = accelerator
        one_process = device is not None and accelerator.num_processes == 1
        model = VideoXLForConditionalGeneration.from_pretrained(
            pretrained, dtype=dtype if dtype == "auto" else getattr(torch, dtype))
        model = model.to(device if one_process else accelerator.device).eval()
        model.processor = VideoXLProcessor.from_pretrained(pretrained)
        self._policy = FramePolicy(int(frames), None if fps is None else float(fps))
        self._answerer = VstAnswerer(model, [int(one) for one in str(ratio).split(":")], positions)
        self._last: tuple[Any, SeenAsVst] | None = None

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """Answer, greedily. Neighbouring questions about the same video share one look."""
        replies = []
        for request in tqdm(requests, disable=self.rank != 0, desc="video_xl"):
            words, generation, doc_to_visual, doc_id, task, split = request.args
            if generation.get("do_sample"):
                raise ValueError(f"{task} asks for sampled answers: video_xl answers greedily")
            seen = self._look(doc_to_visual(self.task_dict[task][split][doc_id]), (task, split, doc_id))
            asked = _question(words, most_tokens=int(generation.get("max_new_tokens", USUAL_TOKENS)))
            replies.append(_cut(seen.reply(asked).text, generation.get("until") or ()))
        return replies

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """Log-probability of each target, and whether greedy decoding gives it."""
        found = []
        for request in tqdm(requests, disable=self.rank != 0, desc="video_xl"):
            words, doc_to_target, doc_to_visual, doc_id, task, split = request.args
            doc = self.task_dict[task][split][doc_id]
            target = doc_to_target if isinstance(doc_to_target, str) else doc_to_target(doc)
            seen = self._look(doc_to_visual(doc), (task, split, doc_id))
            found.append(seen.log_likelihood(_question(words, answer=target)))
        return found

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> list[str]:
        """Not to be had.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("video_xl has no tasks of several rounds: each question is asked by itself")

    def _look(self, visuals: Sequence[Any], place: tuple[str, str, int]) -> SeenAsVst:
        """What was seen last, if it is the same video.

        Args:
            visuals: a path of a video, or pictures.
            place: of the document, which stands for pictures.
        """
        viewing = _viewing(visuals)
        key = viewing if isinstance(viewing, VideoStretch) else place
        if self._last is None or self._last[0] != key:
            self._last = None  # the memory of one video goes before that of the next comes
            with DecodeAhead([viewing], self._policy, self._answerer.prepare) as ahead:
                self._last = key, self._answerer.look(ahead.frames(0), None)
        return self._last[1]


def _viewing(visuals: Sequence[Any]) -> Viewing:
    """What a task hands over as something to look at.

    Raises:
        ValueError: nothing, several videos, or something else.
    """
    if len(visuals) == 1 and isinstance(visuals[0], (str, Path)):
        return VideoStretch(Path(visuals[0]))
    if visuals and all(isinstance(one, Image.Image) for one in visuals):
        return GivenPictures(tuple(visuals))
    kinds = ", ".join(type(one).__name__ for one in visuals) or "nothing"
    raise ValueError(f"video_xl looks at one video (a path) or at pictures, but the task hands over {kinds}")


def _question(words: str, answer: str = "", most_tokens: int = USUAL_TOKENS) -> Question:
    """A question in lmms-eval's words; its marks for pictures go, as all pictures stand in front."""
    words = words.replace("<image>\n", "").replace("<image>", "")
    return Question("", VideoStretch(Path()), words, "open", answer, most_tokens=most_tokens)


def _cut(text: str, stops: Sequence[str] | str) -> str:
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.split(stop)[0] if stop else text
    return text
