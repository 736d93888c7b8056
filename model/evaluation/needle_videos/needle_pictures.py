"""Needles drawn with Pillow: the same content gives the same pixels."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from model.evaluation.needle_videos.needle_plan import Caption, LargeWord, Shapes
from pipeline.sample_videos import COLOURS, SHAPES

_PAPER, _INK, _WHITE = (246, 238, 214), (26, 38, 84), (255, 255, 255)
_FINE = 4
"""Shapes are drawn so many times as fine as they are kept, for smooth edges."""


def own_picture(shows: Shapes | LargeWord, width: int, height: int) -> np.ndarray:
    """A picture that shows nothing but the needle: uint8 [height, width, 3]."""
    picture = Image.new("RGB", (width, height), _PAPER)
    if isinstance(shows, LargeWord):
        _write(picture, shows.letters, 0.8 * min(1.0, height / width), (width / 2, height / 2), _INK, None)
    else:
        stamp_shapes(picture, shows, 0.38 * min(width, height))
    return np.asarray(picture)


def drawn_over(frame: np.ndarray, shows: Shapes | Caption) -> np.ndarray:
    """A frame with a needle on it: uint8 [height, width, 3].

    Args:
        frame: uint8 [height, width, 3]; left as it is.
        shows: a caption in a bar at the lower edge, or shapes in a row in the middle.
    """
    picture = Image.fromarray(frame)
    width, height = picture.size
    if isinstance(shows, Caption):
        # Within the square in the middle: that is all a model may see of a frame.
        square = min(width, height)
        _write(picture, shows.text, 0.9 * square / width, (width / 2, height / 2 + 0.38 * square), _WHITE, _INK)
    else:
        stamp_shapes(picture, shows, 0.1 * min(width, height))
    return np.asarray(picture)


def stamp_shapes(picture: Image.Image, shows: Shapes, radius: float) -> None:
    """Draw shapes in a row around the middle of a picture.

    Args:
        picture: drawn on.
        shows: which and how many.
        radius: of each, in pixels.
    """
    side = round(2.2 * radius)
    mask = Image.new("L", (_FINE * side, _FINE * side))
    rim = mask.copy()
    for polygon, ink in zip(SHAPES[shows.shape], (255, *[0] * 9), strict=False):
        corners = [tuple(corner) for corner in _FINE * (polygon * radius + side / 2)]
        ImageDraw.Draw(mask).polygon(corners, fill=ink)
        ImageDraw.Draw(rim).line([*corners, *corners[:2]], fill=255, width=max(2, round(_FINE * radius / 8)))
    mask, rim = mask.reduce(_FINE), rim.reduce(_FINE)
    for number in range(shows.count):
        middle = picture.width / 2 + (number - (shows.count - 1) / 2) * 1.1 * side
        corner = (round(middle - side / 2), round((picture.height - side) / 2))
        picture.paste(_WHITE, corner, rim)
        picture.paste(COLOURS[shows.colour], corner, mask)


def _write(
    picture: Image.Image, text: str, share: float, middle: tuple[float, float], ink: tuple[int, int, int],
    bar: tuple[int, int, int] | None,
) -> None:
    """Write a line so that it takes up a share of the picture's width, but no more than a third of its height."""
    draw, size = ImageDraw.Draw(picture), 100
    left, top, right, bottom = draw.textbbox((0, 0), text, ImageFont.load_default(size))
    size *= min(share * picture.width / (right - left), picture.height / 3 / (bottom - top))
    font = ImageFont.load_default(size)
    box = draw.textbbox(middle, text, font, anchor="mm")
    if bar is not None:
        edge = size / 4
        draw.rectangle((box[0] - edge, box[1] - edge, box[2] + edge, box[3] + edge), fill=bar)
    draw.text(middle, text, ink, font, anchor="mm")
