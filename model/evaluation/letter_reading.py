"""Which option an answer means. Benchmarks have different rules, and scores depend on them, so each has its own here.

Every rule returns a letter among those of the question's options, or None where it finds none.
"""

import re
import zlib
from collections.abc import Sequence
from random import Random

from model.evaluation.question import LETTERS, Question

_OPENINGS = (
    "The best answer is", "The correct answer is", "The answer is", "The answer", "The best option is",
    "The correct option is", "Best answer:", "Best option:")
_OUTER_MARKS = ",.!?;:'"


def letters_of(question: Question) -> str:
    """The letters of the options: "ABCD"."""
    return LETTERS[:len(question.options)]


def first_capital(question: Question, text: str) -> str | None:
    """The first capital that is an option's letter, behind the usual openings (Video-MME, LongVideoBench, and
    lmms-eval's MLVU). "A man" means A.
    """
    for opening in _OPENINGS:
        text = text.replace(opening, "")
    found = re.search(f"[{letters_of(question)}]", text)
    return found and found[0]


def in_brackets(question: Question, text: str) -> str | None:
    """What the first pair of brackets holds, or the whole answer where there is none, if it is just a letter (VICO,
    whose answers begin with "(A)").
    """
    return _only(question, _bracketed(text))


def first_in_alphabet(question: Question, text: str) -> str | None:
    """Of the letters in the first pair of brackets, or in the whole answer where there is none, up to a full stop, the
    first in the alphabet (VNBench's script, behind Video-XL's brackets). "Best is D" means B.
    """
    counted = _bracketed(text).split(".")[0]
    return next((letter for letter in letters_of(question) if letter in counted), None)


def before_bracket(question: Question, text: str) -> str | None:
    """The right letter if it is anywhere in front of the first closing bracket, else the first letter there: behind a
    prefill that ends in "(", Video-XL's needle script asks no more. "A or B" is right where A is and where B is.
    """
    front = text.split(")")[0]
    if question.answer in front:
        return question.answer
    return next((letter for letter in front if letter in letters_of(question)), None)


def lone_letter(question: Question, text: str) -> str | None:
    """A letter and a point at the beginning, else the first letter that stands alone, large or small (lmms-eval's
    MVBench). "It is a dog" means A.
    """
    opening = re.match(r"([A-Za-z])\.\s*\S", text.strip())
    if opening:
        return _only(question, opening[1].upper())
    words = re.sub(r"[^\w\s']", " ", text).split()
    return next((letter for word in words if (letter := _only(question, word.upper()))), None)


def last_mention(question: Question, text: str) -> str | None:
    """The option mentioned last: (B), else "B ", else "B.", else by its words in an answer of more than five (MMMU's
    rule, which lmms-eval uses for NExT-QA).
    """
    bare = text
    for mark in _OUTER_MARKS:
        bare = bare.strip(mark)
    bare = f" {bare} "
    for form in ("({})", "{} ", "{}."):
        mentioned = [letter for letter in letters_of(question) if form.format(letter) in bare]
        if mentioned:
            place = form if form == "({})" else " {} "
            return max(mentioned, key=lambda letter: bare.rfind(place.format(letter)))
    if len(bare.split()) <= 5:
        return None
    places = {letter: bare.lower().rfind(option.lower())
              for letter, option in zip(LETTERS, question.options, strict=False)}
    best = max(places, key=places.__getitem__)
    return best if places[best] >= 0 else None


_MARKED = [("", ""), ("", "."), ("", ","), ("", ":"), ("", ")"), ("", ")."), ("(", ")"), ("(", ")."), (":", ""),
           (":", ","), (":", "."), (":", ")"), (":", ").")]


def one_letter_or_words(question: Question, text: str) -> str | None:
    """The only letter that is a word of the answer, bare or between marks, else the only option whose words it holds
    (MMBench's exact matching; a lone A among more than three words may be an article and does not count).
    """
    words = text.split()
    for before, behind in _MARKED:
        found = [letter for letter in letters_of(question) if f"{before}{letter}{behind}" in words]
        article = not before and not behind and "A" in words and len(words) > 3
        if len(found) == 1 and not article:
            return found[0]
    named = [letter for letter, option in zip(LETTERS, question.options, strict=False)
             if option.lower() in text.lower()]
    return named[0] if len(named) == 1 else None


def guess(question: Question, seed: int = 0) -> str:
    """A letter drawn at random, the same for a question in every run."""
    return Random(zlib.crc32(f"{seed} {question.question_id}".encode())).choice(letters_of(question))


def letter_of(options: Sequence[str], answer: str) -> str:
    """The letter of the option that reads like the answer.

    Raises:
        ValueError: none does.
    """
    return LETTERS[list(options).index(answer)]


def _bracketed(text: str) -> str:
    found = re.search(r"\((.*?)\)", text)
    return found[1] if found else text


def _only(question: Question, text: str) -> str | None:
    letter = text.strip()
    return letter if len(letter) == 1 and letter in letters_of(question) else None
