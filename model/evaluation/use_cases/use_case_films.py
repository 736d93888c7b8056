"""Films in the style of miniature films, each with chapters, one inserted advertisement and one thing out of the
ordinary.

A chapter has a background and one shape of one colour, which is there in most of its clips and stays in the middle. In
one chapter something foreign is inserted: a loud background with a product, a shape that is in no chapter. In another
one the chapter's shape does, once, what nothing in the film does: it travels, shrinks or grows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from model.evaluation.miniature_films import ACTIONS, BACKGROUNDS, COLOURS, FPS, SHAPES, SIDE, Look
from pipeline.sample_videos import Event, Scene, Script, Shape, backdrop_pairs, stands_out

CLIP_S = 2
PRODUCTS = ("crown", "house", "fish", "gear", "flower", "pine tree", "drop", "hexagon")
LOUD = ("a {} and {} checkerboard", "a {} and {} bullseye", "{} and {} sunbeams", "{} and {} chevrons")
ODD = ("climbs upwards", "sinks downwards", "moves from left to right", "drifts from right to left", "shrinks away",
       "grows out of nothing")
CHAPTERS = (3, 4)
SHORTEST_CHAPTER, ODD_CLIPS, ADVERTISEMENT_CLIPS = 6, 2, (2, 3)
SHORTEST_FILM_S = max(CHAPTERS) * SHORTEST_CHAPTER * CLIP_S
_SHOWN = 0.7
"""How likely a chapter's shape is there in a clip."""
Backdrop = tuple[str, tuple[str, str], int]
"""Pattern, its two colours, seed."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a film in seconds, and the look that it is about."""

    start_s: float
    end_s: float
    look: Look


@dataclass(frozen=True, slots=True)
class UseCaseFilm:
    """A film and the truth about it.

    Attributes:
        script: to be drawn by `pipeline.sample_videos`.
        chapters: without gaps; the advertisement lies inside one.
        advertisement: what was inserted.
        anomaly: where the chapter's shape behaves oddly.
        odd: what it does there, one of `ODD`.
    """

    script: Script
    chapters: tuple[Piece, ...]
    advertisement: Piece
    anomaly: Piece
    odd: str


def use_case_film(seed: int, seconds: int) -> UseCaseFilm:
    """One film.

    Args:
        seed: the same seed gives the same film.
        seconds: a whole number of clips.

    Raises:
        ValueError: too short for its chapters.
    """
    if seconds < SHORTEST_FILM_S or seconds % CLIP_S:
        raise ValueError(f"{seconds} seconds: a film has at least {SHORTEST_FILM_S}, a multiple of {CLIP_S}")
    rng = Random(f"use case {seed}")
    ends = _ends_of_chapters(seconds // CLIP_S, rng)
    begins = (0, *ends[:-1])
    looks = list(zip(rng.sample(COLOURS, len(ends)), rng.sample(SHAPES, len(ends)), strict=True))
    backdrops = _backdrops(looks, rng)
    foreign, strange = rng.sample(range(len(ends)), 2)
    length = rng.choice(ADVERTISEMENT_CLIPS)
    # Not at an edge: on both sides of it the same chapter goes on.
    at_foreign = rng.randint(begins[foreign] + 1, ends[foreign] - length - 1)
    at_strange = rng.randint(begins[strange], ends[strange] - ODD_CLIPS)
    product = rng.choice(COLOURS), rng.choice(PRODUCTS)
    [loud] = _backdrops([product], rng, LOUD)
    odd = rng.choice(ODD)
    scenes, events = [], []
    for number, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        cuts = [begin, at_foreign, at_foreign + length, end] if number == foreign else [begin, end]
        for part, (first, last) in enumerate(pairwise(cuts)):
            inserted = part == 1
            scenes.append(_scene(first, last, loud if inserted else backdrops[number]))
            if inserted:
                events.append(_event(first, last, product, rng.choice(ACTIONS)))
            elif number == strange:
                events += _usual(range(first, at_strange), looks[number], rng)
                events.append(_event(at_strange, at_strange + ODD_CLIPS, looks[number], odd))
                events += _usual(range(at_strange + ODD_CLIPS, last), looks[number], rng)
            else:
                events += _usual(range(first, last), looks[number], rng)
    script = Script(float(seconds), SIDE, SIDE, FPS, tuple(scenes), tuple(events))
    chapters = tuple(_piece(*three) for three in zip(begins, ends, looks, strict=True))
    return UseCaseFilm(script, chapters, _piece(at_foreign, at_foreign + length, product),
                       _piece(at_strange, at_strange + ODD_CLIPS, looks[strange]), odd)


def usual_pieces(film: UseCaseFilm) -> Iterator[tuple[Piece, str]]:
    """Clips of chapters, without the advertisement and the anomaly, in which the shape is there, and what it does."""
    for event in film.script.events:
        look = (event.subject.colour, event.subject.name)
        if event.action not in ODD and look != film.advertisement.look:
            yield Piece(event.start_s, event.end_s, look), event.action


def _ends_of_chapters(clips: int, rng: Random) -> list[int]:
    """The clip behind each chapter; every way to share out what is left is as likely."""
    count = rng.choice(CHAPTERS)
    left = clips - count * SHORTEST_CHAPTER
    bars = sorted(rng.sample(range(left + count - 1), count - 1))
    more = [after - before - 1 for before, after in zip([-1, *bars], [*bars, left + count - 1], strict=True)]
    return [sum(more[:number]) + number * SHORTEST_CHAPTER for number in range(1, count + 1)]


def _backdrops(looks: list[Look], rng: Random, patterns: tuple[str, ...] = BACKGROUNDS) -> list[Backdrop]:
    """A background for each look, which stands out in front of it; no two of the same colours."""
    found: list[Backdrop] = []
    for colour, _ in looks:
        taken = {pair for _, pair, _ in found}
        pairs = [pair for pair in backdrop_pairs() if stands_out(colour, pair) and pair not in taken]
        found.append((rng.choice(patterns), rng.choice(pairs), rng.getrandbits(32)))
    return found


def _usual(clips: range, look: Look, rng: Random) -> list[Event]:
    return [_event(clip, clip + 1, look, rng.choice(ACTIONS)) for clip in clips if rng.random() < _SHOWN]


def _scene(first: int, last: int, backdrop: Backdrop) -> Scene:
    pattern, pair, seed = backdrop
    return Scene(float(first * CLIP_S), float(last * CLIP_S), pattern.format(*pair), pattern, pair, seed)


def _event(first: int, last: int, look: Look, action: str) -> Event:
    colour, shape = look
    return Event(float(first * CLIP_S), float(last * CLIP_S), f"{colour} {shape} {action}",
                 Shape(shape, colour, "large", "plain"), action)


def _piece(first: int, last: int, look: Look) -> Piece:
    return Piece(float(first * CLIP_S), float(last * CLIP_S), look)
