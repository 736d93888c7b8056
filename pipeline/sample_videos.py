"""Sample videos drawn from a script, so that the whole truth about them is known.

A script is data: scenes one after another, in each a few events one after another. `sample_script` makes
one from a seed, `draw` turns it into frames, `write_video` and `write_captions` put both beside each other.

- One event at a time: a coloured shape, or a word in big letters, does one thing in front of a background.
- No event comes twice in a video, but for those of a scene that returns: there the same events show the
  same pixels as the first time, so that nothing in that scene stands in one place only.
- The same script gives the same pixels and, on one machine, the same file.

    python -m pipeline.sample_videos sample.mp4 --seed 0 --duration 180
"""

import argparse
import itertools
import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Points = np.ndarray  # (corners, 2); a shape fits the circle of radius 1 around the origin, y points down


@dataclass(frozen=True)
class Shape:
    """A shape and its looks: keys of SHAPES, COLOURS, SIZES and FILLS."""

    name: str
    colour: str
    size: str
    fill: str


@dataclass(frozen=True)
class Word:
    """Big letters in one of COLOURS; a line for each word."""

    letters: str
    colour: str


@dataclass(frozen=True)
class Event:
    """`subject` does `action` (a key of ACTIONS) from start_s up to end_s (seconds); `text` says so."""

    start_s: float
    end_s: float
    text: str
    subject: Shape | Word
    action: str


@dataclass(frozen=True)
class Scene:
    """A background from start_s up to end_s (seconds): a key of PATTERNS in two colours out of BACKDROPS."""

    start_s: float
    end_s: float
    name: str
    pattern: str
    colours: tuple[str, str]
    seed: int


@dataclass(frozen=True)
class Script:
    """All that a video shows, by time: scenes without gaps, events that stay apart and inside their scene."""

    duration_s: float
    width: int
    height: int
    fps: int
    scenes: tuple[Scene, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Pose:
    """How a subject is drawn: x and y from 0 to 1 over the picture, angle in turns, opacity from 0 to 1."""

    x: float = 0.5
    y: float = 0.5
    scale: float = 1.0
    stretch: float = 1.0
    angle: float = 0.0
    opacity: float = 1.0


# ---- What can be drawn. Shapes, colours, backgrounds and actions share no words, so that sentences differ.

COLOURS = {
    "red": (226, 42, 48), "orange": (250, 138, 20), "yellow": (255, 222, 40), "green": (44, 172, 66),
    "turquoise": (40, 208, 206), "blue": (40, 96, 236), "purple": (146, 60, 206), "pink": (255, 122, 190),
    "white": (252, 252, 252), "black": (16, 16, 18),
}  # fmt: skip
BACKDROPS = {  # from dark to light
    "navy": (26, 38, 84), "plum": (78, 40, 92), "maroon": (110, 32, 44), "chocolate": (90, 60, 44),
    "teal": (24, 100, 104), "slate": (88, 102, 118), "olive": (122, 124, 62), "lavender": (186, 174, 222),
    "sand": (214, 192, 150), "peach": (246, 198, 168), "mint": (180, 226, 200), "cream": (246, 238, 214),
}  # fmt: skip
SIZES = {"small": 0.14, "large": 0.26}  # radius in picture heights
LETTER_HEIGHT = 0.3  # in picture heights
WORDS = """RIVER LANTERN WINTER COPPER PIANO HARBOUR VELVET SUGAR CANYON TICKET MARBLE FALCON GARDEN ENGINE
PEPPER COMET BASKET THUNDER LADDER SILK ORCHID TUNNEL PENCIL ISLAND VIOLIN PUZZLE DESERT MIRROR CANDLE TIGER
POCKET ANCHOR BUTTON CIRCUS MEADOW ROCKET SHADOW TEAPOT VALLEY WALNUT ZEBRA BRIDGE CASTLE DRAGON FOREST
GUITAR HONEY JUNGLE KITTEN LEMON MONKEY NEEDLE OCEAN PARROT QUARTZ RABBIT SPIDER TURNIP UMBRELLA VIKING
WAGON YOGURT BAKERY CACTUS DAGGER ECLIPSE FEATHER GALAXY HAMMER IGLOO JACKET KEYHOLE LIBRARY MAGNET NAPKIN
OYSTER PALACE QUIVER SADDLE TEMPLE""".split()


def _polar(radius: Callable[[np.ndarray], np.ndarray], corners: int) -> Points:
    """The polygon with a corner at radius(angle) for each of so many angles, from the top clockwise."""
    angle = np.arange(corners) * (2 * np.pi / corners)
    return radius(angle)[:, None] * np.stack([np.sin(angle), -np.cos(angle)], axis=1)


def _regular(corners: int, radius: float = 1.0, centre: tuple[float, float] = (0.0, 0.0)) -> Points:
    return radius * _polar(np.ones_like, corners) + np.asarray(centre)


def _corners(*xy: float) -> Points:
    return np.asarray(xy, dtype=float).reshape(-1, 2)


def _mirrored(*xy: float) -> Points:
    """The right half as given, from the top down, and the same on the left."""
    right = _corners(*xy)
    return np.concatenate([right, right[::-1] * (-1, 1)])


def _crescent() -> Points:
    """A round of radius 1 without that of radius 0.86 half a step to the right."""
    outer, inner = np.linspace(1.035, 2 * np.pi - 1.035, 64), np.linspace(2 * np.pi - 1.559, 1.559, 64)
    return np.concatenate([_round(outer), 0.86 * _round(inner) + (0.5, 0)])


def _round(angle: np.ndarray) -> Points:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _heart() -> Points:
    t = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, -y - 2], axis=1) / 17


def _drop() -> Points:
    t = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    return np.stack([1.1 * np.sin(t) * np.sin(t / 2) ** 2, -np.cos(t)], axis=1)


def _fish() -> Points:
    t = np.linspace(0.3, 2 * np.pi - 0.3, 64)
    body = np.stack([0.7 * np.cos(t) - 0.25, 0.55 * np.sin(t)], axis=1)
    return np.concatenate([body, _corners(0.95, -0.55, 0.78, 0, 0.95, 0.55)])


def _gear() -> Points:
    return _polar(lambda angle: np.where(np.arange(angle.size) % 6 < 3, 1.0, 0.76), 54)


# The first polygon is filled, the others are cut out of it.
SHAPES: dict[str, tuple[Points, ...]] = {
    "star": (_polar(lambda angle: np.where(np.arange(angle.size) % 2, 0.42, 1.0), 10),),
    "circle": (_regular(96),),
    "square": (_mirrored(.8, -.8, .8, .8),),
    "triangle": (_regular(3),),
    "ring": (_regular(96), _regular(96, 0.56)),
    "cross": (_mirrored(0, -1, .3, -1, .3, -.3, 1, -.3, 1, .3, .3, .3, .3, 1, 0, 1),),
    "heart": (_heart(),),
    "arrow": (_corners(-1, -.28, .1, -.28, .1, -.75, 1, 0, .1, .75, .1, .28, -1, .28),),
    "crescent": (_crescent(),),
    "hexagon": (_regular(6),),
    "diamond": (_mirrored(0, -1, .62, 0, 0, 1),),
    "drop": (_drop(),),
    "flower": (_polar(lambda angle: 0.72 + 0.28 * np.cos(6 * angle), 144), _regular(48, 0.22)),
    "lightning bolt": (_corners(.2, -1, -.55, .15, -.05, .15, -.25, 1, .6, -.25, .08, -.25, .5, -1),),
    "house": (_mirrored(0, -1, .9, -.2, .65, -.2, .65, .85, .2, .85, .2, .25),),
    "fish": (_fish(), _regular(24, 0.09, (-0.58, -0.14))),
    "pine tree": (_mirrored(0, -1, .45, -.4, .25, -.4, .65, .15, .35, .15, .8, .7, .14, .7, .14, 1),),
    "sailing boat": (_corners(-.05, -1, .75, .2, 0, .2, 0, .4, .95, .4, .6, .8, -.6, .8, -.95, .4, -.1, .4),),
    "crown": (_mirrored(0, -.8, .45, 0, .9, -.6, .75, .7),),
    "gear": (_gear(), _regular(48, 0.34)),
}  # fmt: skip
ROUND = {"circle", "ring", "flower", "gear"}  # turning them shows little or nothing

FILLS: dict[str, tuple[Points, ...]] = {  # drawn over the shape in another shade
    "plain": (),
    "striped": tuple(_corners(x, -1, x + 0.2, -1, x + 0.2, 1, x, 1) for x in (-0.9, -0.5, -0.1, 0.3, 0.7)),
    "spotted": tuple(
        _regular(24, 0.11, (0.42 * i + 0.21 * (j % 2), 0.36 * j)) for i in range(-3, 3) for j in range(-2, 3)
    ),
}
LOOKS = tuple(itertools.product(SIZES, FILLS))

# From the share of the event that has passed (0 to 1) to the pose.
ACTIONS: dict[str, Callable[[float], Pose]] = {
    "moves from left to right": lambda p: Pose(x=0.1 + 0.8 * p),
    "drifts from right to left": lambda p: Pose(x=0.9 - 0.8 * p),
    "climbs upwards": lambda p: Pose(y=0.85 - 0.7 * p),
    "sinks downwards": lambda p: Pose(y=0.15 + 0.7 * p),
    "spins in place": lambda p: Pose(angle=2 * p),
    "grows out of nothing": lambda p: Pose(scale=0.05 + 1.25 * p),
    "shrinks away": lambda p: Pose(scale=1.3 - 1.25 * p),
    "blinks on and off": lambda p: Pose(opacity=float(p * 6 % 1 < 0.6)),
    "bounces like a ball": lambda p: Pose(y=0.74 - 0.48 * abs(math.sin(4 * math.pi * p))),
    "swings like a pendulum": lambda p: Pose(
        x=0.5 + 0.28 * math.sin(6 * math.pi * p),
        y=0.34 + 0.24 * math.cos(math.sin(6 * math.pi * p)),
        angle=-0.09 * math.sin(6 * math.pi * p),
    ),
    "travels around the centre": lambda p: Pose(
        x=0.5 + 0.28 * math.sin(2 * math.pi * p), y=0.5 - 0.28 * math.cos(2 * math.pi * p)
    ),
    "follows a winding path": lambda p: Pose(x=0.1 + 0.8 * p, y=0.5 + 0.26 * math.sin(6 * math.pi * p)),
    "runs diagonally from corner to corner": lambda p: Pose(x=0.12 + 0.76 * p, y=0.14 + 0.72 * p),
    "trembles": lambda p: Pose(
        x=0.5 + 0.012 * math.sin(70 * math.pi * p), y=0.5 + 0.016 * math.sin(94 * math.pi * p)
    ),
    "stretches and squeezes": lambda p: Pose(stretch=1 + 0.35 * math.sin(6 * math.pi * p)),
    "throbs": lambda p: Pose(scale=1 + 0.25 * math.sin(10 * math.pi * p)),
    "fades slowly into view": lambda p: Pose(opacity=p),
    "topples over": lambda p: Pose(angle=0.25 * min(1.0, 1.6 * p) ** 2),
}
TURNS = {"spins in place", "topples over"}  # a long word would leave the picture


def _night(x: np.ndarray, y: np.ndarray, rng: Random) -> np.ndarray:
    """Jagged mountains along the bottom and small stars above them."""
    peaks = 0.1 * np.abs(np.sin(5 * x + 6 * rng.random())) + 0.06 * np.abs(np.sin(13 * x + 6 * rng.random()))
    mask = y > 0.92 - peaks
    for _ in range(60):
        star_x, star_y, radius = 1.78 * rng.random(), 0.72 * rng.random(), 0.003 + 0.004 * rng.random()
        mask |= (x - star_x) ** 2 + (y - star_y) ** 2 < radius**2
    return mask


def _bricks(x: np.ndarray, y: np.ndarray, rng: Random) -> np.ndarray:
    """Mortar between courses of bricks, every other course shifted by half a brick."""
    height = rng.choice((0.08, 0.1, 0.125))
    shifted = x + height * (y // height % 2)
    return (y % height < 0.012) | (shifted % (2 * height) < 0.012)


def _cell(rng: Random) -> float:
    return rng.choice((0.1, 0.125, 1 / 6))


# The name of a background, and where its second colour shows; x and y are in picture heights.
PATTERNS: dict[str, Callable[[np.ndarray, np.ndarray, Random], np.ndarray]] = {
    "a {} and {} checkerboard": lambda x, y, rng: (x // (c := _cell(rng)) + y // c) % 2,
    "a {} and {} gradient": lambda x, y, rng: y if rng.random() < 0.5 else x / 1.78,
    "{} and {} bars": lambda x, y, rng: x // _cell(rng) % 2,
    "{} and {} ribbons": lambda x, y, rng: (x + y) // _cell(rng) % 2,
    "{} and {} polka dots": lambda x, y, rng: np.hypot(x % (c := _cell(rng)) - c / 2, y % c - c / 2) < c / 4,
    "a {} and {} grid": lambda x, y, rng: (x % (c := _cell(rng)) < 0.01) | (y % c < 0.01),
    "a {} sky above {} mountains": _night,
    "a {} and {} brick wall": _bricks,
    "a {} and {} bullseye": lambda x, y, rng: np.hypot(x - 0.89, y - 0.5) // _cell(rng) % 2,
    "{} and {} sunbeams": lambda x, y, rng: np.arctan2(y - 1.05, x - 0.89) // (_cell(rng) * 1.4) % 2,
    "{} waves below a {} horizon": lambda x, y, rng: y < 0.55 + 0.05 * np.sin(9 * x + 6 * rng.random()),
    "{} and {} chevrons": lambda x, y, rng: (y + np.abs(x % 0.4 - 0.2)) // _cell(rng) % 2,
}


# ---- Writing a script

# An event takes a slot, less a gap before and after it. Any 14 seconds then hold a whole event.
SLOTS_S = (6.0, 6.25, 6.5, 6.75, 7.0)
GAPS_S = (0.5, 0.75, 1.0)
RETURN_EVERY, RETURN_AFTER = 8, 5  # scene 6 is scene 1 again, scene 14 is scene 9, and so on


def _lightness(rgb: tuple[int, int, int]) -> float:
    return 0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2]


def backdrop_pairs() -> list[tuple[str, str]]:
    """The pairs of BACKDROPS, the darker first, that can be told apart and leave room for bright shapes."""
    pairs = itertools.combinations(BACKDROPS, 2)
    return [(a, b) for a, b in pairs if _lightness(BACKDROPS[b]) - _lightness(BACKDROPS[a]) > 30]


def stands_out(colour: str, backdrops: Sequence[str]) -> bool:
    """Whether a shape in one of COLOURS is easily seen in front of each of these BACKDROPS."""
    return all(math.dist(COLOURS[colour], BACKDROPS[name]) > 105 for name in backdrops)


class _Deck:
    """Cards drawn at random, each once; the next round is shuffled in when none at hand fits."""

    def __init__(self, rng: Random, rounds: Iterable[Sequence]) -> None:
        self.rng, self.rounds, self.cards = rng, iter(rounds), []

    def draw(self, fits: Callable[..., bool] = lambda card: True):
        """Returns the first card that fits; raises ValueError when the last round is used up."""
        while True:
            for at in reversed(range(len(self.cards))):
                if fits(self.cards[at]):
                    return self.cards.pop(at)
            fresh = next(self.rounds, None)
            if fresh is None:
                raise ValueError("nothing new is left to draw: the script is too long for unique events")
            self.cards = self.rng.sample(fresh, len(fresh)) + self.cards


class _Author:
    """Draws scenes and events that were not there before."""

    def __init__(self, rng: Random) -> None:
        again = itertools.repeat
        self.rng = rng
        self.patterns = _Deck(rng, again(list(PATTERNS)))
        self.pairs = {pattern: _Deck(rng, again(backdrop_pairs())) for pattern in PATTERNS}
        self.shapes = _Deck(rng, again(list(SHAPES)))
        self.actions = _Deck(rng, again(list(ACTIONS)))
        self.words = _Deck(rng, _rounds_of_words())
        casts = itertools.product(SHAPES, ACTIONS)
        self.looks = {cast: _Deck(rng, self._rounds_of_looks()) for cast in casts}
        self.recent: deque[str] = deque(maxlen=4)  # colours; seven or more stand out anywhere
        self.worn: deque[tuple[str, str]] = deque(maxlen=2)  # sizes and fills
        self.until_word = 3

    def _rounds_of_looks(self) -> Iterator[list[tuple[str, str, str]]]:
        """(colour, size, fill), such that a colour comes back only after all the others, with other looks."""
        looks = {colour: self.rng.sample(LOOKS, len(LOOKS)) for colour in COLOURS}
        return ([(colour, *looks[colour][i]) for colour in COLOURS] for i in range(len(LOOKS)))

    def scene(self, start_s: float, longest_s: float) -> tuple[Scene, list[Event]]:
        """A new scene of two or three events, no longer than longest_s."""
        pattern = self.patterns.draw()
        pair = self.pairs[pattern].draw()
        scene = Scene(start_s, start_s, pattern.format(*pair), pattern, pair, self.rng.getrandbits(32))
        events: list[Event] = []
        for _ in range(self.rng.choice((2, 3, 3))):
            slots_s = [slot_s for slot_s in SLOTS_S if scene.end_s - start_s + slot_s <= longest_s]
            if not slots_s:
                break
            slot_s = self.rng.choice(slots_s)
            events.append(self.event(scene, scene.end_s, slot_s))
            scene = replace(scene, end_s=scene.end_s + slot_s)
        return scene, events

    def event(self, scene: Scene, start_s: float, slot_s: float) -> Event:
        """A new event in a slot of the scene, with a gap before and after it."""
        subject, action = self.cast(scene)
        start_s, end_s = start_s + self.rng.choice(GAPS_S), start_s + slot_s - self.rng.choice(GAPS_S)
        text = f"{_phrase(subject)} {action} over {scene.name}."
        return Event(start_s, end_s, text, subject, action)

    def cast(self, scene: Scene) -> tuple[Shape | Word, str]:
        """Who does what: every fourth time or so a word. The looks differ from those of the last events."""

        def suits(colour: str) -> bool:
            return colour not in self.recent and stands_out(colour, scene.colours)

        self.until_word -= 1
        if self.until_word == 0:
            self.until_word = self.rng.choice((3, 4, 5))
            self.recent.append(self.rng.choice([colour for colour in COLOURS if suits(colour)]))
            action = self.actions.draw(lambda action: action not in TURNS)
            return Word(self.words.draw(), self.recent[-1]), action
        shape = self.shapes.draw()
        action = self.actions.draw(lambda action: not (shape in ROUND and action in TURNS))
        looks = self.looks[shape, action]
        colour, size, fill = looks.draw(lambda look: suits(look[0]) and look[1:] not in self.worn)
        self.recent.append(colour)
        self.worn.append((size, fill))
        return Shape(shape, colour, size, fill), action


def _rounds_of_words() -> Iterator[list[str]]:
    """Single words, then pairs of words, each pair once."""
    yield WORDS
    for apart in range(1, len(WORDS)):
        yield [f"{word} {WORDS[(at + apart) % len(WORDS)]}" for at, word in enumerate(WORDS)]


def _phrase(subject: Shape | Word) -> str:
    if isinstance(subject, Word):
        kind = "word pair" if " " in subject.letters else "word"
        return f"The {kind} {subject.letters} in {subject.colour} letters"
    fill = "" if subject.fill == "plain" else f"{subject.fill} "
    return f"A {subject.size} {fill}{subject.colour} {subject.name}"


def _again(scene: Scene, events: Sequence[Event], start_s: float) -> tuple[Scene, list[Event]]:
    """The same scene and events at another time."""
    by_s = start_s - scene.start_s
    moved = [replace(span, start_s=span.start_s + by_s, end_s=span.end_s + by_s) for span in (scene, *events)]
    return moved[0], moved[1:]


def sample_script(seed: int, duration_s: float = 180) -> Script:
    """Makes a script of scenes of 12 to 21 seconds with an event about every 6.5 seconds.

    The seventh scene is the second again, and so on with every eighth: in three minutes there is always one.

    Raises:
        ValueError: the duration is below 6 seconds, or too long (above 20 hours) for events that all differ.
    """
    if not duration_s >= SLOTS_S[0]:
        raise ValueError(f"a script needs at least {SLOTS_S[0]:g} seconds, not {duration_s:g}")
    author = _Author(Random(seed))
    told: list[tuple[Scene, list[Event]]] = []
    end_s = 0.0
    while duration_s - end_s >= SLOTS_S[0]:
        returns = len(told) % RETURN_EVERY == RETURN_EVERY - 2
        following = _again(*told[-RETURN_AFTER], end_s) if returns else None
        if following is None or following[0].end_s > duration_s:
            following = author.scene(end_s, duration_s - end_s)
        told.append(following)
        end_s = following[0].end_s
    told[-1] = (replace(told[-1][0], end_s=float(duration_s)), told[-1][1])
    scenes, events = zip(*told, strict=True)
    return Script(float(duration_s), 640, 360, 24, scenes, tuple(itertools.chain(*events)))


# ---- Drawing

EDGE = 0.008  # width of the light line around a subject, in picture heights
FADE_S = 0.25  # how long a subject takes to come and to go
_FINE = 2  # sprites are kept at twice their size, so that they turn and grow without jagged edges


def _background(scene: Scene, width: int, height: int) -> Image.Image:
    """Paints at twice the size and halves it; the light falls off a little towards the bottom."""
    y, x = np.mgrid[: 2 * height, : 2 * width].astype(np.float32) / (2 * height)
    mask = PATTERNS[scene.pattern](x, y, Random(scene.seed)).astype(np.float32)[..., None]
    first, second = (np.array(BACKDROPS[name], np.float32) for name in scene.colours)
    picture = (first + (second - first) * mask) * (1.03 - 0.1 * y[..., None])
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8)).reduce(2)


def _shape_sprite(shape: Shape, height: int) -> Image.Image:
    """Draws the shape, its fill and its edge; four times as fine as the sprite is kept."""
    radius, edge = 4 * _FINE * SIZES[shape.size] * height, round(4 * _FINE * EDGE * height)
    side = math.ceil(2 * (radius + 2 * edge) / 4) * 4
    inside, outline, inlay = (Image.new("L", (side, side)) for _ in range(3))
    for polygon, ink in zip(SHAPES[shape.name], (255, *[0] * 9), strict=False):
        corners = [tuple(corner) for corner in polygon * radius + side / 2]
        ImageDraw.Draw(inside).polygon(corners, fill=ink)
        ImageDraw.Draw(outline).line([*corners, *corners[:2]], fill=255, width=2 * edge, joint="curve")
    for polygon in FILLS[shape.fill]:
        ImageDraw.Draw(inlay).polygon([tuple(corner) for corner in polygon * radius + side / 2], fill=110)
    rgb = COLOURS[shape.colour]
    rim = (70, 72, 80) if shape.colour == "white" else (255, 255, 255)
    sprite = Image.new("RGBA", (side, side), rim)
    sprite.putalpha(outline)
    sprite.paste((*rgb, 255), mask=inside)
    shade = (0, 0, 0, 255) if _lightness(rgb) > 120 else (255, 255, 255, 255)
    sprite.paste(shade, mask=Image.fromarray(np.minimum(inside, inlay)))
    return sprite.reduce(4)


def _word_sprite(word: Word, width: int, height: int) -> Image.Image:
    """Draws the letters, two words on two lines, at most 0.7 of the picture wide."""
    lines, edge = word.letters.replace(" ", "\n"), round(_FINE * EDGE * height)
    size = _FINE * LETTER_HEIGHT * height / (1 + lines.count("\n") / 2)
    ruler = ImageDraw.Draw(Image.new("L", (1, 1)))
    widest = ruler.multiline_textbbox((0, 0), lines, ImageFont.load_default(size))[2]
    font = ImageFont.load_default(size * min(1.0, 0.7 * _FINE * width / widest))
    box = ruler.multiline_textbbox((0, 0), lines, font, align="center", stroke_width=2 * edge)
    sprite = Image.new("RGBA", (math.ceil(box[2] - box[0]) + 2, math.ceil(box[3] - box[1]) + 2))
    rgb = COLOURS[word.colour]
    rim = (40, 42, 50) if _lightness(rgb) > 130 else (255, 255, 255)
    for ink, stroke in ((rim, 2 * edge), (rgb, edge // 2)):
        ImageDraw.Draw(sprite).multiline_text(
            (1 - box[0], 1 - box[1]), lines, (*ink, 255), font, align="center", stroke_width=stroke
        )
    return sprite


def _put(canvas: Image.Image, sprite: Image.Image, pose: Pose) -> None:
    """Draws the sprite onto the canvas in this pose."""
    if pose.opacity <= 0:
        return
    across, down = pose.scale * pose.stretch / _FINE, pose.scale / pose.stretch / _FINE
    turn = 2 * math.pi * pose.angle
    cos, sin = math.cos(turn), math.sin(turn)
    reach_x = math.ceil((abs(cos) * across * sprite.width + abs(sin) * down * sprite.height) / 2) + 1
    reach_y = math.ceil((abs(sin) * across * sprite.width + abs(cos) * down * sprite.height) / 2) + 1
    middle_x, middle_y = pose.x * canvas.width, pose.y * canvas.height
    left, top = math.floor(middle_x) - reach_x, math.floor(middle_y) - reach_y
    # Image.transform asks where in the sprite each pixel of the result comes from: the inverse of the pose.
    a, b, d, e = cos / across, sin / across, -sin / down, cos / down
    shift_x, shift_y = middle_x - left, middle_y - top
    c, f = sprite.width / 2 - a * shift_x - b * shift_y, sprite.height / 2 - d * shift_x - e * shift_y
    drawn = sprite.transform(
        (2 * reach_x + 1, 2 * reach_y + 1),
        Image.Transform.AFFINE,
        (a, b, c, d, e, f),
        Image.Resampling.BILINEAR,
    )
    alpha = drawn.getchannel("A").point(lambda value: round(value * pose.opacity))
    canvas.paste(drawn, (left, top), alpha)


def _draw_event(event: Event, background: Image.Image, fps: int) -> Iterator[Image.Image]:
    """Draws each frame of the event; what it shows depends on nothing outside the event."""
    width, height = background.size
    word = isinstance(event.subject, Word)
    sprite = _word_sprite(event.subject, width, height) if word else _shape_sprite(event.subject, height)
    # Wide and tall sprites travel less, so that they stay in the picture.
    room_x = min(1.0, (1 - sprite.width / _FINE / width) / 0.8)
    room_y = min(1.0, (1 - sprite.height / _FINE / height) / 0.7)
    frames = round(event.end_s * fps) - round(event.start_s * fps)
    for at in range(frames):
        pose = ACTIONS[event.action]((at + 0.5) / frames)
        fade = min(1.0, (min(at, frames - 1 - at) + 1) / (FADE_S * fps))
        canvas = background.copy()
        x, y = 0.5 + (pose.x - 0.5) * room_x, 0.5 + (pose.y - 0.5) * room_y
        _put(canvas, sprite, replace(pose, x=x, y=y, opacity=pose.opacity * fade))
        yield canvas


def draw(script: Script) -> Iterator[np.ndarray]:
    """Yields every frame, height x width x 3, uint8 RGB; only one is held at a time."""
    events = iter(script.events)
    event = next(events, None)
    for scene in script.scenes:
        background = _background(scene, script.width, script.height)
        at, end = (round(second * script.fps) for second in (scene.start_s, scene.end_s))
        while event is not None and event.start_s < scene.end_s:
            start = round(event.start_s * script.fps)
            for _ in range(at, start):
                yield np.array(background)
            at = round(event.end_s * script.fps)
            yield from map(np.array, _draw_event(event, background, script.fps))
            event = next(events, None)
        for _ in range(at, end):
            yield np.array(background)


# ---- Writing files

# One thread, so that the bytes are the same on every run; a key frame at least every two seconds.
X264 = {"preset": "veryfast", "crf": "21", "threads": "1"}


def write_video(script: Script, path: Path) -> None:
    """Draws the script into an H.264 file; the container is that of the file's name (mp4, mkv, ...)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=script.fps, options=X264)
        stream.width, stream.height, stream.pix_fmt = script.width, script.height, "yuv420p"
        stream.gop_size = 2 * script.fps
        for rgb in draw(script):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))


def write_captions(script: Script, path: Path, video_name: str) -> None:
    """Writes a JSON line for each scene (kind "caption") and event (kind "event"), by time."""
    lines = [(s.start_s, s.end_s, f"The background shows {s.name}.", "caption") for s in script.scenes]
    lines += [(event.start_s, event.end_s, event.text, "event") for event in script.events]
    with open(path, "w", encoding="utf-8") as file:
        for start_s, end_s, text, kind in sorted(lines):
            line = {"video": video_name, "start_s": start_s, "end_s": end_s, "text": text, "kind": kind}
            file.write(json.dumps(line) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Draws a sample video and writes its captions beside it, under the same name with .jsonl."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.sample_videos", description=main.__doc__)
    parser.add_argument("out", type=Path, metavar="OUT.mp4")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--duration", type=float, default=180, metavar="SECONDS")
    options = parser.parse_args(arguments)
    script = sample_script(options.seed, options.duration)
    write_captions(script, options.out.with_suffix(".jsonl"), options.out.name)
    write_video(script, options.out)


if __name__ == "__main__":
    main()
