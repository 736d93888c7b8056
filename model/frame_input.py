"""One frame, as a person has it, to pixel values."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

if TYPE_CHECKING:
    from model.modeling_video_xl import VideoXLForConditionalGeneration


def timed(item: Any) -> tuple[float | None, Any]:
    """Split (time in seconds, frame); a bare frame has no time."""
    if isinstance(item, tuple) and len(item) == 2:
        return float(item[0]), item[1]
    return None, item


def frame_pixels(frame: Any, model: "VideoXLForConditionalGeneration", number: int) -> Tensor:
    """Pixel values [3, S, S] of one frame.

    Args:
        frame: a PIL image, a uint8 array or tensor [height, width, 3], or finished pixel values [3, S, S].
        model: whose processor and sizes to use.
        number: of the frame, for messages.

    Raises:
        TypeError: another kind of thing.
        ValueError: another shape, or NaN.
    """
    if isinstance(frame, Image.Image):
        frame = np.asarray(frame.convert("RGB"))
    if isinstance(frame, Tensor) and frame.dtype == torch.uint8:
        frame = frame.cpu().numpy()
    if isinstance(frame, np.ndarray) and frame.dtype == np.uint8:
        if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise ValueError(f"frame {number} must have the shape [height, width, 3], not {list(frame.shape)}")
        return model._need_processor().frame_pixels(frame)
    if isinstance(frame, np.ndarray) and np.issubdtype(frame.dtype, np.floating):
        frame = torch.from_numpy(frame)
    if not isinstance(frame, Tensor) or not frame.is_floating_point():
        found = getattr(frame, "dtype", type(frame).__name__)
        raise TypeError(f"frame {number} must be a uint8 picture or floating point pixel values, not {found}")
    size = model.config.vision_config.image_size
    if tuple(frame.shape) != (3, size, size):
        raise ValueError(
            f"frame {number} must have the shape [3, {size}, {size}] as pixel values, not {list(frame.shape)}; "
            "pictures of any size are given as uint8 [height, width, 3]"
        )
    if not torch.isfinite(frame).all():
        raise ValueError(f"frame {number} holds NaN or infinite pixel values: look for them where it was made")
    return frame
