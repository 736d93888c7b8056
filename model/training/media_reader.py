"""The media of a sample: which frames are shown, and their pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps
from torch import Tensor

from model.processing_video_xl import VideoXLProcessor
from model.training.frame_table import FrameReader, FrameTable
from model.training.mixture import MixtureSource
from schemas.damaged_pictures import UNDECODABLE
from schemas.uniform_frames import uniform_indexes

_SPARE_PIXELS = 2
"""Pictures are decoded to no less than twice the size that is shown; scaled from there they look as from full size."""

_LYING = (5, 6, 7, 8)
"""Orientations that swap width and height."""


class PictureError(Exception):
    """A stored picture cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Medium:
    """What one mark stands for."""

    is_video: bool
    frames: np.ndarray
    """int64 [F]: the frames shown, numbers in the frame table."""


def shown_media(
    table: FrameTable, media: Sequence[Mapping[str, Any]], root: int, source: MixtureSource
) -> list[Medium]:
    """The frames that a sample shows: of a video those that fit the source's budget, of images all.

    Args:
        table: all frames.
        media: the sample's column of that name.
        root: number of the data set that the sample belongs to.
        source: how many frames of a video are shown.
    """
    shown = []
    for one in media:
        video = table.number(f"{root}:{one['video_id']}")
        frames = table.frames_of(video, one["start_s"], one["end_s"], one["frame_indexes"] or ())
        is_video = one["type"] == "video"
        shown.append(Medium(is_video, frames[uniform_indexes(len(frames), source.most_frames)] if is_video else frames))
    return shown


def crops_of(medium: Medium, table: FrameTable, source: MixtureSource, tiles_of: Any) -> int:
    """Frames and tiles that a medium is shown as."""
    if medium.is_video or source.images == "whole":
        return len(medium.frames)
    return sum(tiles_of(int(table.width[frame]), int(table.height[frame])) for frame in medium.frames)


class PixelReader:
    """Frames to what the model takes."""

    def __init__(self, reader: FrameReader, table: FrameTable, processor: VideoXLProcessor) -> None:
        self._reader, self._table, self._processor = reader, table, processor

    def fill(self, pixels: Tensor, medium: Medium, source: MixtureSource) -> None:
        """Write the pixel values of a medium.

        Args:
            pixels: [crops, 3, S, S], as many as `crops_of` says.
            medium: what to read.
            source: how images are shown.

        Raises:
            PictureError: a picture is missing, does not decode, or has another size than its row says.
            ShardError: a file cannot be read.
        """
        at, is_whole = 0, medium.is_video or source.images == "whole"
        for data, frame in zip(self._reader.read(medium.frames), medium.frames, strict=True):
            picture = self._picture(data, int(frame), _SPARE_PIXELS * self._processor.size if is_whole else None)
            if is_whole:
                crops = self._processor.frame_pixels(np.asarray(picture))[None]
            else:
                crops = self._processor.image_pixels(picture)
            pixels[at:at + len(crops)] = crops
            at += len(crops)

    def _picture(self, data: bytes | None, frame: int, side: int | None) -> Image.Image:
        """Decode a picture, upright and in RGB; a JPEG may come out smaller, but not below `side`, which saves most of
        the decoding.
        """
        if not data:
            raise PictureError(f"{self._name(frame)} holds no picture")
        try:
            picture = Image.open(BytesIO(data))
            lies = picture.getexif().get(ExifTags.Base.Orientation) in _LYING
            size = picture.size[::-1] if lies else picture.size
            if side is not None:
                picture.draft("RGB", (side, side))
            ImageOps.exif_transpose(picture, in_place=True)
            picture = picture if picture.mode == "RGB" else picture.convert("RGB")
            picture.load()
        except UNDECODABLE as error:
            raise PictureError(f"{self._name(frame)} does not decode: {error}") from error
        said = int(self._table.width[frame]), int(self._table.height[frame])
        if size != said:
            raise PictureError(f"{self._name(frame)} has {size} pixels, its row says {said}")
        return picture

    def _name(self, frame: int) -> str:
        video = int(np.searchsorted(self._table.video_start, frame, side="right")) - 1
        return f"frame {self._table.frame_index[frame]} of {self._table.videos[video].as_py().split(':', 1)[1]}"
