"""Words, frames and images to the tensors that the model takes."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature
from transformers.processing_utils import ProcessorMixin

from model.auto_classes import register_auto_classes
from model.configuration import VideoXLConfig, default_pinpoints
from model.image_tiles import image_tiles

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
MARK = re.compile(r"<video>|<image>")

CHAT_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'video' %}<video>\n{% elif part['type'] == 'image' %}<image>\n"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The published prompt (ChatML), a medium and a line break wherever a part stands."""


class VideoXLProcessor(ProcessorMixin):
    """Tokenizer and pixels of one model.

    Frames are scaled to the tower's size on their shorter side and cropped at the centre, as published: the
    edges of wide frames are not seen. Images are cut into tiles at their own size. Without torchvision.

    Args:
        tokenizer: any transformers tokenizer.
        size: side of a crop in pixels.
        media_token_id: what marks a medium in the ids.
        grid_pinpoints: canvases for images, (width, height).
        image_mean, image_std: per channel, of pixels between 0 and 1.
        chat_template: a Jinja template; left out: the published prompt.
    """

    attributes = ["tokenizer"]  # noqa: RUF012
    tokenizer_class = "AutoTokenizer"

    def __init__(
        self,
        tokenizer: Any = None,
        size: int = 336,
        media_token_id: int = 152063,
        grid_pinpoints: Sequence[Sequence[int]] | None = None,
        image_mean: Sequence[float] = CLIP_MEAN,
        image_std: Sequence[float] = CLIP_STD,
        chat_template: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(tokenizer, chat_template=chat_template or CHAT_TEMPLATE, **kwargs)
        self.size = size
        self.media_token_id = media_token_id
        self.grid_pinpoints = [list(pair) for pair in grid_pinpoints or default_pinpoints(size)]
        self.image_mean = tuple(image_mean)
        self.image_std = tuple(image_std)

    @classmethod
    def from_pretrained(cls, *arguments: Any, **kwargs: Any) -> "VideoXLProcessor":
        """As in transformers; its `AutoTokenizer` must know the model's type, or it warns that it does not."""
        register_auto_classes()
        return super().from_pretrained(*arguments, **kwargs)

    @classmethod
    def for_model(cls, config: VideoXLConfig, tokenizer: Any, **kwargs: Any) -> "VideoXLProcessor":
        """The processor that fits a configuration."""
        return cls(
            tokenizer,
            size=config.vision_config.image_size,
            media_token_id=config.media_token_id,
            grid_pinpoints=config.grid_pinpoints,
            **kwargs,
        )

    def __call__(
        self,
        text: str | Sequence[str],
        videos: Sequence[Iterable[Any]] | None = None,
        images: Sequence[Any] | None = None,
        padding_side: str = "left",
        return_tensors: str = "pt",
        **kwargs: Any,
    ) -> BatchFeature:
        """Inputs for `forward` and `generate`.

        Args:
            text: one prompt or several, with `<video>` and `<image>` where media belong.
            videos: frames of each video, in the order of the marks over all prompts; see `frame_pixels`.
            images: PIL images or uint8 arrays [height, width, 3], in the order of the marks. Both may also
                come in one list a prompt, as `apply_chat_template` hands them on.
            padding_side: "left" to generate, "right" to train.
            return_tensors: only "pt".

        Returns:
            input_ids, attention_mask and, with media, pixel_values [F, 3, S, S] and media_sizes.

        Raises:
            ValueError: marks and media differ in number, or something is not to be had.
        """
        if return_tensors != "pt":
            raise ValueError(f"return_tensors={return_tensors!r} is not to be had: only 'pt' is")
        prompts = [text] if isinstance(text, str) else list(text)
        videos, images = _flat_videos(videos), _flat_images(images)
        marks = [mark for prompt in prompts for mark in MARK.findall(prompt)]
        for name, mark, given in (("videos", "<video>", videos), ("images", "<image>", images)):
            if marks.count(mark) != len(given):
                raise ValueError(
                    f"the text holds {marks.count(mark)} {mark} marks, but {len(given)} {name} were given: write "
                    "one mark for each, where it belongs"
                )
        ids = [self.ids(prompt) for prompt in prompts]
        data = _padded(ids, self._pad_id(), padding_side)
        if marks:
            next_video, next_image = iter(videos), iter(images)
            media = [
                self.video_pixels(next(next_video)) if mark == "<video>" else self.image_pixels(next(next_image))
                for mark in marks
            ]
            data |= {"pixel_values": torch.cat(media), "media_sizes": torch.tensor([len(m) for m in media])}
        return BatchFeature(data)

    def ids(self, prompt: str) -> list[int]:
        """Ids of a prompt, one `media_token_id` for each mark; the pieces between marks are tokenised by
        themselves.
        """
        marks, ids = MARK.findall(prompt), []
        for number, piece in enumerate(MARK.split(prompt)):
            ids += self.text_ids(piece) if piece else []
            ids += [self.media_token_id] if number < len(marks) else []
        return ids

    def text_ids(self, text: str) -> list[int]:
        """Ids of text without media: `<image>` and `<video>` in it are words like others."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def prefix_ids(self) -> list[int]:
        """Ids of what stands in front of a video in the usual prompt."""
        return self.ids(self._usual_prompt("").split("<video>")[0])

    def question_ids(self, question: str) -> list[int]:
        """Ids of what stands behind a video in the usual prompt."""
        return self.text_ids(self._usual_prompt(question).split("<video>", 1)[1])

    def _usual_prompt(self, question: str) -> str:
        content = [{"type": "video"}, {"type": "text", "text": question}]
        return self.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )

    def frame_pixels(self, frame: np.ndarray) -> Tensor:
        """One frame, uint8 [height, width, 3], to pixel values [3, S, S]: scaled, cropped at the centre,
        normalised.

        Raises:
            TypeError, ValueError: another type or shape.
        """
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
            found = getattr(frame, "dtype", type(frame).__name__)
            raise TypeError(f"a frame must be a uint8 array [height, width, 3], not {found}")
        if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise ValueError(f"a frame must have the shape [height, width, 3], not {list(frame.shape)}")
        height, width = frame.shape[:2]
        shorter = min(width, height)
        # The longer side is cut off, not rounded, as in CLIP's preprocessing.
        scaled = int(self.size * width / shorter), int(self.size * height / shorter)
        if scaled != (width, height):
            frame = np.asarray(Image.fromarray(frame).resize(scaled, Image.Resampling.BICUBIC))
        left, top = (scaled[0] - self.size) // 2, (scaled[1] - self.size) // 2
        return self._normalised(frame[top:top + self.size, left:left + self.size])

    def video_pixels(self, frames: Iterable[Any]) -> Tensor:
        """Pixel values [F, 3, S, S] of the frames of one video: uint8 arrays or PIL images.

        Raises:
            ValueError: zero frames.
        """
        frames = [np.asarray(f.convert("RGB")) if isinstance(f, Image.Image) else f for f in frames]
        if not frames:
            raise ValueError("a video has zero frames: give at least one")
        return torch.stack([self.frame_pixels(frame) for frame in frames])

    def image_pixels(self, image: Any) -> Tensor:
        """Pixel values [tiles, 3, S, S] of one image at its own size.

        Raises:
            TypeError: neither a PIL image nor a uint8 array.
        """
        if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3:
            image = Image.fromarray(image)
        if not isinstance(image, Image.Image):
            raise TypeError(
                f"an image must be a PIL image or a uint8 array [height, width, 3], not {type(image).__name__}"
            )
        tiles = image_tiles(image, self.grid_pinpoints, self.size)
        return torch.stack([self._normalised(np.asarray(tile)) for tile in tiles])

    def _normalised(self, picture: np.ndarray) -> Tensor:
        # Channels are brought to the front while they are bytes, and the rest is done in place: a third of the time.
        pixels = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float()
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.image_mean, self.image_std))
        return pixels.div_(255).sub_(mean).div_(std)

    def _pad_id(self) -> int:
        pad, end = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        return pad if pad is not None else end if end is not None else 0

    @property
    def model_input_names(self) -> list[str]:
        """What `__call__` may return."""
        return ["input_ids", "attention_mask", "pixel_values", "media_sizes"]


def _flat_videos(videos: Sequence[Any] | None) -> list[Any]:
    """Videos of all prompts, whether they come as one list or as one list a prompt."""
    videos = list(videos or ())
    of_prompts = [
        isinstance(entry, (list, tuple))
        and (not entry or isinstance(entry[0], (list, tuple)) or np.ndim(entry[0]) == 4)
        for entry in videos
    ]
    return [video for entry in videos for video in entry] if all(of_prompts) and any(map(len, videos)) else videos


def _flat_images(images: Sequence[Any] | None) -> list[Any]:
    """Images of all prompts, whether they come as one list or as one list a prompt."""
    return [image for entry in images or () for image in (entry if isinstance(entry, (list, tuple)) else (entry,))]


def _padded(ids: list[list[int]], pad: int, side: str) -> dict[str, Tensor]:
    longest = max(map(len, ids))
    rows, masks = [], []
    for row in ids:
        gap = longest - len(row)
        padding, zeros, ones = [pad] * gap, [0] * gap, [1] * len(row)
        rows.append(padding + row if side == "left" else row + padding)
        masks.append(zeros + ones if side == "left" else ones + zeros)
    return {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(masks)}
