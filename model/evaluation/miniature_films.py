"""Films so small that a model of a million weights learns from them: one coloured shape at a time, drawn by
`pipeline/sample_videos.py`.

A film is made of clips of four seconds, each with a background of its own; for two of them a shape is seen. Four clips
one after another show four shapes in four colours. In a film no shape of one colour comes twice, and a few shapes come
once only: these can be asked for whatever the stretch. Events are as dense in a long film as in a short one.

    python -m model.evaluation.miniature_films film.mp4 --seed 3000000 --seconds 128
"""

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from random import Random

from PIL import Image

from pipeline.sample_videos import (
    Event,
    Scene,
    Script,
    Shape,
    backdrop_pairs,
    draw,
    stands_out,
    write_captions,
    write_video,
)

CLIP_S, EVENT_S, BLOCK_CLIPS = 4, 2, 4
SIDE, FPS = 64, 4
SHAPES = ("star", "circle", "square", "triangle", "ring", "cross", "heart", "arrow", "crescent", "diamond")
COLOURS = ("red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink")
ACTIONS = ("trembles", "throbs", "stretches and squeezes")
"""Those that leave a shape in the middle: what is to be learned is when it was seen, not to see it anywhere."""
BACKGROUNDS = ("a {} and {} gradient", "a {} sky above {} mountains", "{} waves below a {} horizon",
               "a {} and {} grid", "{} and {} polka dots")
"""Of PATTERNS the calm ones: among bars and bricks as wide as itself a shape of 16 pixels is hard to learn."""
LONGEST_FILM_S = 160
"""There are eighty looks, of which none comes twice in a film; more than half of them are hard to place."""
_ONCE_IN_A_FILM = 5
Look = tuple[str, str]
"""Colour and shape."""


def told(look: Look) -> str:
    """The sentence that captions say of an event."""
    colour, shape = look
    return f"{'An' if colour[0] in 'aeiou' else 'A'} {colour} {shape} appears."


LOOKS: dict[str, Look] = {told((colour, shape)): (colour, shape) for colour in COLOURS for shape in SHAPES}
"""Which look each sentence speaks of."""


def film_script(seed: int, seconds: int) -> Script:
    """The script of one film.

    Args:
        seed: the same seed gives the same film.
        seconds: a whole number of clips, at most `LONGEST_FILM_S`.
    """
    rng = Random(seed)
    clips = seconds // CLIP_S
    while (looks := _looks_of_clips(clips, rng)) is None:
        pass
    scenes, events = [], []
    for clip, look in enumerate(looks):
        start_s = float(clip * CLIP_S)
        scenes.append(_scene(start_s, start_s + CLIP_S, look, rng))
        events.append(_event(start_s + rng.randint(0, CLIP_S - EVENT_S), look, rng))
    return Script(float(seconds), SIDE, SIDE, FPS, tuple(scenes), tuple(events))


def empty_film_script(seed: int, seconds: int) -> Script:
    """The script of a film of backgrounds alone, of any length."""
    rng = Random(seed)
    starts = range(0, seconds, CLIP_S)
    scenes = tuple(_scene(float(start_s), float(start_s + CLIP_S), None, rng) for start_s in starts)
    return Script(float(seconds), SIDE, SIDE, FPS, scenes, ())


def _looks_of_clips(clips: int, rng: Random) -> list[Look] | None:
    """What each clip shows; None if the last blocks find no colours that are left (rare)."""
    once = rng.sample(SHAPES, _ONCE_IN_A_FILM)
    often = [shape for shape in SHAPES if shape not in once]
    blocks = range(0, clips, BLOCK_CLIPS)
    where_once = dict(zip(rng.sample(blocks, min(len(once), len(blocks))), once, strict=False))
    shown: list[Look] = []
    used: set[Look] = set()
    for block in blocks:
        shapes = rng.sample(often, min(BLOCK_CLIPS, clips - block))
        if block in where_once:
            shapes[rng.randrange(len(shapes))] = where_once[block]
        looks = _coloured(shapes, used, rng)
        if looks is None:
            return None
        used.update(looks)
        shown += looks
    return shown


def _coloured(shapes: Sequence[str], used: set[Look], rng: Random) -> list[Look] | None:
    """A colour for each shape: all different, and none that the shape has had in this film; None if there are none."""
    colours = rng.sample(COLOURS, len(COLOURS))
    for some in permutations(colours, len(shapes)):
        looks = list(zip(some, shapes, strict=True))
        if not used & set(looks):
            return looks
    return None


def _scene(start_s: float, end_s: float, look: Look | None, rng: Random) -> Scene:
    pairs = [pair for pair in backdrop_pairs() if look is None or stands_out(look[0], pair)]
    pattern, pair = rng.choice(BACKGROUNDS), rng.choice(pairs)
    return Scene(start_s, end_s, pattern.format(*pair), pattern, pair, rng.getrandbits(32))


def _event(start_s: float, look: Look, rng: Random) -> Event:
    colour, shape = look
    subject = Shape(shape, colour, "large", "plain")
    return Event(start_s, start_s + EVENT_S, told(look), subject, rng.choice(ACTIONS))


def write_films(folder: Path, seeds: Sequence[int], seconds: int) -> Path:
    """Write a film for each seed under `folder`/films; what is there already stays.

    Returns:
        The caption file: the events of all films.
    """
    films, lines = folder / "films", []
    films.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        script, film = film_script(seed, seconds), films / f"{seed:08d}.mp4"
        if not film.is_file():
            partial = films / f".{film.name}.partial.mp4"
            write_video(script, partial)
            partial.rename(film)
        said = folder / "said.jsonl"
        write_captions(script, said, film.name)
        lines += [line for line in said.read_text().splitlines() if json.loads(line)["kind"] == "event"]
    captions = folder / "captions.jsonl"
    captions.write_text("\n".join(lines) + "\n")
    return captions


def write_stills(folder: Path, count: int, seed: int) -> Path:
    """Write single frames of events as pictures under `folder`/stills, as small as a model of this size sees them.

    Returns:
        A list of image-caption pairs as `import-instructions` reads it.
    """
    rng, stills, records = Random(seed), folder / "stills", []
    stills.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        look = rng.choice(COLOURS), rng.choice(SHAPES)
        scene, event = _scene(0.0, EVENT_S, look, rng), _event(0.0, look, rng)
        frames = list(draw(Script(float(EVENT_S), SIDE, SIDE, FPS, (scene,), (event,))))
        picture = Image.fromarray(rng.choice(frames)).resize((SIDE // 2, SIDE // 2), Image.Resampling.BOX)
        picture.save(stills / f"{number:06d}.jpg", quality=90, subsampling=0)
        records.append({"image": f"{number:06d}.jpg", "caption": told(look)})
    path = folder / "stills.json"
    path.write_text(json.dumps(records))
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: one film and, beside it, what it shows.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m model.evaluation.miniature_films", description="Draw a miniature film.")
    parser.add_argument("film", type=Path, metavar="FILM.mp4", help="what it shows is written to FILM.jsonl beside it")
    parser.add_argument("--seed", type=int, default=3_000_000, help="no film's of the grid (default: 3000000)")
    parser.add_argument("--seconds", type=int, default=128, help=f"a multiple of {CLIP_S} (default: 128)")
    options = parser.parse_args(argv)
    if not CLIP_S <= options.seconds <= LONGEST_FILM_S or options.seconds % CLIP_S:
        parser.error(f"--seconds must be a multiple of {CLIP_S} up to {LONGEST_FILM_S}")
    script = film_script(options.seed, options.seconds)
    write_video(script, options.film)
    write_captions(script, options.film.with_suffix(".jsonl"), options.film.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
