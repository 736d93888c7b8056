"""One image to tiles: the canvas is chosen, the image is fitted into it, and it is cut up.

The whole image squashed to one tile, which the published preprocessing puts in front, is left out: the
published model encodes it and drops it.
"""

from collections.abc import Sequence
from math import ceil

from PIL import Image


def best_canvas(width: int, height: int, canvases: Sequence[Sequence[int]]) -> tuple[int, int]:
    """The canvas (width, height) that keeps most of the image's pixels, and of those the one that wastes
    least.

    The published rule: an image is scaled to fit, and scaling up adds no pixels. The first of equals wins.
    """

    def fitness(canvas: Sequence[int]) -> tuple[int, int]:
        scale = min(canvas[0] / width, canvas[1] / height)
        shown = min(int(width * scale) * int(height * scale), width * height)
        return shown, shown - canvas[0] * canvas[1]

    best = max(canvases, key=fitness)
    return best[0], best[1]


def fit_on_canvas(image: Image.Image, canvas: tuple[int, int]) -> Image.Image:
    """The image scaled (bicubic) to fit, sides kept in proportion and rounded up, centred on black."""
    width, height = image.size
    scale_x, scale_y = canvas[0] / width, canvas[1] / height
    if scale_x < scale_y:
        size = canvas[0], min(ceil(height * scale_x), canvas[1])
    else:
        size = min(ceil(width * scale_y), canvas[0]), canvas[1]
    whole = Image.new("RGB", canvas, (0, 0, 0))
    whole.paste(image.resize(size), ((canvas[0] - size[0]) // 2, (canvas[1] - size[1]) // 2))
    return whole


def cut_tiles(image: Image.Image, tile: int) -> list[Image.Image]:
    """Square tiles, row by row."""
    width, height = image.size
    return [
        image.crop((left, top, left + tile, top + tile))
        for top in range(0, height, tile)
        for left in range(0, width, tile)
    ]


def image_tiles(image: Image.Image, canvases: Sequence[Sequence[int]], tile: int) -> list[Image.Image]:
    """The tiles of one image.

    Args:
        image: of any size and mode.
        canvases: (width, height) of the canvases to choose from, multiples of `tile`.
        tile: side of a tile in pixels.
    """
    image = image.convert("RGB")
    return cut_tiles(fit_on_canvas(image, best_canvas(*image.size, canvases)), tile)
