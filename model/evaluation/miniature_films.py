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
from collections.abc import Iterator, Sequence
from itertools import groupby, permutations
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from pipeline.picture_hash import ALIKE_BITS, bit_distances, picture_hash
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
_TRIES = 30
_SPARE_BITS = 2
"""Coding changes a picture's hash by as much."""
Look = tuple[str, str]
"""Colour and shape."""


def told(look: Look) -> str:
    """The sentence that captions say of an event."""
    colour, shape = look
    return f"{'An' if colour[0] in 'aeiou' else 'A'} {colour} {shape} appears."


LOOKS: dict[str, Look] = {told((colour, shape)): (colour, shape) for colour in COLOURS for shape in SHAPES}
"""Which look each sentence speaks of."""


def film_script(seed: int, seconds: int, apart: bool = False) -> Script:
    """The script of one film.

    Args:
        seed: the same seed gives the same film.
        seconds: a whole number of clips, at most `LONGEST_FILM_S`.
        apart: no clip looks like an earlier one, as far as `_TRIES` drawings of each find one that does not.
    """
    rng = Random(seed)
    clips = seconds // CLIP_S
    while (looks := _looks_of_clips(clips, rng)) is None:
        pass
    scenes, events, shown = [], [], np.empty(0, dtype=np.int64)
    for clip, look in enumerate(looks):
        scene, event = _clip(float(clip * CLIP_S), look, rng)
        if apart:
            scene, event, hashes = _unlike(shown, scene, event, rng)
            shown = np.concatenate([shown, hashes])
        scenes.append(scene)
        events.append(event)
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


def _clip(start_s: float, look: Look, rng: Random) -> tuple[Scene, Event]:
    scene = _scene(start_s, start_s + CLIP_S, look, rng)
    return scene, _event(start_s + rng.randint(0, CLIP_S - EVENT_S), look, rng)


def _unlike(shown: np.ndarray, scene: Scene, event: Event, rng: Random) -> tuple[Scene, Event, np.ndarray]:
    """A clip of the same look as the one given, drawn anew until no picture of it is like one in `shown`.

    Args:
        shown: hashes of the pictures before, int64 [pictures].

    Returns:
        Scene and event, those of the last try if none will do, and the hashes of their pictures.
    """
    for _ in range(_TRIES):
        if all((bit_distances(np.array([picture]), shown) > ALIKE_BITS + _SPARE_BITS).all()
               for picture in _hashes(scene, event)):
            break
        scene, event = _clip(scene.start_s, LOOKS[event.text], rng)
    return scene, event, np.array(list(_hashes(scene, event)), dtype=np.int64)


def _hashes(scene: Scene, event: Event) -> Iterator[int]:
    """The hashes of what a clip shows, one for all frames that stand."""
    clip = Script(float(CLIP_S), SIDE, SIDE, FPS, (scene,), (event,))
    for _, same in groupby(draw(clip), key=np.ndarray.tobytes):
        yield picture_hash(np.asarray(Image.fromarray(next(same)).convert("L")))


def _scene(start_s: float, end_s: float, look: Look | None, rng: Random) -> Scene:
    pairs = [pair for pair in backdrop_pairs() if look is None or stands_out(look[0], pair)]
    pattern, pair = rng.choice(BACKGROUNDS), rng.choice(pairs)
    return Scene(start_s, end_s, pattern.format(*pair), pattern, pair, rng.getrandbits(32))


def _event(start_s: float, look: Look, rng: Random) -> Event:
    colour, shape = look
    subject = Shape(shape, colour, "large", "plain")
    return Event(start_s, start_s + EVENT_S, told(look), subject, rng.choice(ACTIONS))


def write_films(folder: Path, seeds: Sequence[int], seconds: int, apart: bool) -> Path:
    """Write a film for each seed under `folder`/films; what is there already stays.

    Returns:
        The caption file: the events of all films.
    """
    films, said = folder / "films", folder / "said"
    films.mkdir(parents=True, exist_ok=True)
    said.mkdir(exist_ok=True)
    for seed in seeds:
        film = films / f"{seed:08d}.mp4"
        if not film.is_file():
            script, partial = film_script(seed, seconds, apart), films / f".{film.name}.partial.mp4"
            write_captions(script, said / f"{seed:08d}.jsonl", film.name)
            write_video(script, partial)
            partial.rename(film)
    lines = [line for seed in seeds for line in (said / f"{seed:08d}.jsonl").read_text().splitlines()]
    captions = folder / "captions.jsonl"
    captions.write_text("\n".join(line for line in lines if json.loads(line)["kind"] == "event") + "\n")
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
