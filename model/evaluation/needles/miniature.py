"""Hay and needles in the style of miniature films, for the tiny models of `make learn`.

    python -m model.evaluation.needles.miniature OUT [--seconds 512] [--needles 5] [--seed 3000000]
    python -m model.evaluation.needles.ask --hay OUT/hay.mp4 --needles OUT/needles --model CHECKPOINT --out DIR

The hay is a miniature film in which nothing happens; the needles are stills of shapes, asked for in the words of
`find_colour` (*What colour is the star?*) in the forced way. A seed that is no film's of the grid shows
what was not trained on.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from model.evaluation.miniature_films import CLIP_S, LOOKS, SHAPES, empty_film_script, write_stills
from model.evaluation.needles.needle import LIST_NAME
from pipeline.sample_videos import write_video

NEEDLES = 5
_STILLS = 60
"""Drawn to choose from: of every shape one is hardly ever missing."""


def write_miniature(out: Path, seconds: int, seed: int, count: int = NEEDLES) -> None:
    """Write OUT/hay.mp4 and OUT/needles.

    Args:
        out: a folder.
        seconds: of hay, a whole number of clips.
        seed: the same seed gives the same files.
        count: of needles, each of another shape.
    """
    needles = out / "needles"
    records = json.loads(write_stills(needles, _STILLS, seed).read_text())
    first: dict[str, dict[str, str]] = {}
    for record in records:
        colour, shape = LOOKS[record["caption"]]
        first.setdefault(shape, {
            "image": f"stills/{record['image']}", "question": f"What colour is the {shape}?",
            "answer": f"{colour.capitalize()}."})
    (needles / LIST_NAME).write_text(json.dumps(list(first.values())[:count], indent=1))
    write_video(empty_film_script(seed, seconds), out / "hay.mp4")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m model.evaluation.needles.miniature", description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of hay and needles")
    parser.add_argument("--seconds", type=int, default=512, help=f"of hay, a multiple of {CLIP_S} (default: 512)")
    parser.add_argument("--needles", type=int, default=NEEDLES, choices=range(1, len(SHAPES) + 1), metavar="COUNT",
                        help=f"stills, each of another shape, 1 to {len(SHAPES)} (default: {NEEDLES})")
    parser.add_argument("--seed", type=int, default=3_000_000, help="no film's of the grid (default: 3000000)")
    options = parser.parse_args(argv)
    if options.seconds < CLIP_S or options.seconds % CLIP_S:
        parser.error(f"--seconds must be a multiple of {CLIP_S}")
    write_miniature(options.out, options.seconds, options.seed, options.needles)
    return 0


if __name__ == "__main__":
    sys.exit(main())
