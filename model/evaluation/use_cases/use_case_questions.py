"""What is asked about a use case film.

    find_advertisement   open             the recipe's question -> A red crown.
    which_advertisement  multiple_choice  What does the inserted advertisement show?
    when_advertisement   multiple_choice  In which part of the video is it?
    find_anomaly         open             the recipe's question -> The star climbs upwards.
    which_anomaly        multiple_choice  Which of these happens?
    list_chapters        open             the recipe's question -> A line for each chapter.
    which_chapter        multiple_choice  What is the second chapter about?

And about pieces of it, in films that are trained on: finding something in a film is learned sooner by who can tell
what a piece shows, and has found it in a few seconds. The recipes' questions, about stretches of 8, 16 and 32 s, and

    what_is_shown        open             What is to be seen in this part of the video? -> A red crown.
    what_happens         open             What happens in this part of the video? -> The star climbs upwards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from model.evaluation.miniature_films import COLOURS, SHAPES, Look
from model.evaluation.use_cases.use_case_films import CLIP_S, ODD, PRODUCTS, Piece, UseCaseFilm, usual_pieces
from model.recipes import RECIPES

RECIPE_OF_KIND = {"find_advertisement": "find-advertisement", "find_anomaly": "anomaly", "list_chapters": "chapters"}
_IS_SHOWN, _HAPPENS = "What is to be seen in this part of the video?", "What happens in this part of the video?"
_OPTIONS = 4
_STRETCHES = (8, 16, 32)
"""Seconds."""
_SHORTEST_PART_S = 6
"""Of a chapter that a stretch cuts: enough for its shape to be seen."""
_QUARTERS = tuple(f"In the {name} quarter." for name in ("first", "second", "third", "last"))
_COUNTED = ("first", "second", "third", "fourth")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question; without options it is open.

    Attributes:
        evidence: what the answer rests on, by time.
    """

    kind: str
    question: str
    answer: str
    evidence: tuple[Piece, ...]
    options: tuple[str, ...] = ()


def named(look: Look) -> str:
    """ "A red crown." """
    colour, shape = look
    return f"{'An' if colour[0] in 'aeiou' else 'A'} {colour} {shape}."


def questions_about(film: UseCaseFilm, rng: Random) -> Iterator[Asked]:
    """All questions.

    Args:
        rng: draws wrong options and their order.
    """
    advertisement, anomaly, chapters = film.advertisement, film.anomaly, film.chapters
    yield _open("find_advertisement", named(advertisement.look), (advertisement,))
    products = [named((colour, shape)) for colour in COLOURS for shape in PRODUCTS]
    yield _choice("which_advertisement", "What does the inserted advertisement show?", named(advertisement.look),
                  (advertisement,), products, rng)
    middle = (advertisement.start_s + advertisement.end_s) / 2
    quarter = int(_OPTIONS * middle / film.script.duration_s)
    yield Asked("when_advertisement", "In which part of the video is the inserted advertisement?", _QUARTERS[quarter],
                (advertisement,), _QUARTERS)
    happening = _happening(anomaly.look, film.odd)
    yield _open("find_anomaly", happening, (anomaly,))
    others = [_happening(piece.look, odd) for piece in chapters for odd in ODD]
    yield _choice("which_anomaly", "What happens in this video that is unlike everything else in it?", happening,
                  (anomaly,), others, rng)
    yield _open("list_chapters", "\n".join(named(piece.look) for piece in chapters), chapters)
    place = rng.randrange(len(chapters))
    looks = [named(piece.look) for piece in chapters]
    if len(looks) < _OPTIONS:
        looks += rng.sample([named((colour, shape)) for colour in COLOURS for shape in SHAPES
                             if named((colour, shape)) not in looks], _OPTIONS - len(looks))
    yield _choice("which_chapter", f"What is the {_COUNTED[place]} chapter of this video about?", looks[place],
                  (chapters[place],), looks, rng)


def questions_about_pieces(film: UseCaseFilm, rng: Random) -> Iterator[tuple[float, float, Asked]]:
    """Start and end of a piece in seconds, and what is asked about it.

    Args:
        rng: places the stretches.
    """
    for piece, action in [(film.advertisement, None), (film.anomaly, film.odd), *usual_pieces(film)]:
        when = piece.start_s, piece.end_s
        yield *when, Asked("what_is_shown", _IS_SHOWN, named(piece.look), (piece,))
        if action is not None:
            yield *when, Asked("what_happens", _HAPPENS, _happening(piece.look, action), (piece,))
    for length in _STRETCHES:
        stretch = _stretch(film, film.anomaly, length, rng)
        yield *stretch, _open("find_anomaly", _happening(film.anomaly.look, film.odd), (film.anomaly,))
        stretch = _stretch(film, film.advertisement, length, rng)
        yield *stretch, _open("find_advertisement", named(film.advertisement.look), (film.advertisement,))
        chapters = _chapters_inside(film, *stretch)
        if all(one.end_s - one.start_s >= _SHORTEST_PART_S for one in chapters):
            yield *stretch, _open("list_chapters", "\n".join(named(one.look) for one in chapters), chapters)


def _chapters_inside(film: UseCaseFilm, start_s: float, end_s: float) -> tuple[Piece, ...]:
    return tuple(Piece(max(start_s, one.start_s), min(end_s, one.end_s), one.look) for one in film.chapters
                 if start_s < one.end_s and one.start_s < end_s)


def _stretch(film: UseCaseFilm, piece: Piece, length: int, rng: Random) -> tuple[float, float]:
    """A stretch that holds a piece, at any of its places that is as likely as the others."""
    first = max(0, piece.end_s - length)
    last = min(piece.start_s, film.script.duration_s - length)
    start_s = first + CLIP_S * rng.randint(0, int((last - first) // CLIP_S))
    return start_s, start_s + length


def _happening(look: Look, action: str) -> str:
    return f"The {look[1]} {action}."


def _open(kind: str, answer: str, evidence: tuple[Piece, ...]) -> Asked:
    return Asked(kind, RECIPES[RECIPE_OF_KIND[kind]].question, answer, evidence)


def _choice(
    kind: str, question: str, answer: str, evidence: tuple[Piece, ...], pool: Sequence[str], rng: Random
) -> Asked:
    """Three of the pool's other texts and the answer, in a random order."""
    options = rng.sample([text for text in pool if text != answer], _OPTIONS - 1)
    options.insert(rng.randrange(_OPTIONS), answer)
    return Asked(kind, question, answer, evidence, tuple(options))
