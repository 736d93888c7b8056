"""Every rule against answers judged by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.evaluation.letter_reading import (
    before_bracket,
    first_capital,
    first_in_alphabet,
    guess,
    in_brackets,
    last_mention,
    letters_of,
    lone_letter,
    one_letter_or_words,
)
from model.evaluation.question import Question
from model.evaluation.viewing import VideoStretch

RULES = [
    first_capital, in_brackets, first_in_alphabet, before_bracket, lone_letter, last_mention, one_letter_or_words]


def question(*options: str, question_id: str = "q") -> Question:
    return Question(question_id, VideoStretch(Path("v.mp4")), "?", "letter", "A", options)


FOUR = question("a cat", "a dog", "a cow", "a hen")


@pytest.mark.parametrize(("said", "letter"), [
    ("B", "B"), ("B.", "B"), ("(B) a dog", "B"), ("b", None), ("The best answer is D", "D"), ("Best option: C", "C"),
    ("Answer: C", "A"),  # the rule of Video-MME, as it is: the first capital
    ("It is a dog", None), ("E", None), ("", None), ("B) a dog, not A", "B"),
])
def test_first_capital(said: str, letter: str | None) -> None:
    assert first_capital(FOUR, said) == letter


def test_first_capital_knows_six_options() -> None:
    assert first_capital(question(*"uvwxyz"), "F) z") == "F"


@pytest.mark.parametrize(("said", "letter"), [
    ("(C) a cow", "C"), ("C", "C"), (" C ", "C"), ("C.", None), ("I say (B), not (C)", "B"), ("(a cow)", None),
    ("A. train", None), ("(E)", None),
])
def test_in_brackets(said: str, letter: str | None) -> None:
    assert in_brackets(FOUR, said) == letter


@pytest.mark.parametrize(("said", "letter"), [
    ("B", "B"), ("B.", "B"), ("A. train", "A"), ("(C)", "C"), ("I say (B), not (C)", "B"), ("D, not so: A", "A"),
    ("Best is D", "B"), ("The end. B", None), ("(a cow) D", None), ("(E)", None), ("b", None), ("", None),
])
def test_first_in_alphabet(said: str, letter: str | None) -> None:
    assert first_in_alphabet(FOUR, said) == letter


@pytest.mark.parametrize(("said", "letter"), [
    ("D) a hen", "D"), ("D", "D"), ("D. four", "D"), ("(D)", "D"), ("B or D)", "D"), ("B) not D", "B"),
    ("C. four", "C"), ("E)", None), ("d)", None), (")D", None), ("", None),
])
def test_before_bracket(said: str, letter: str | None) -> None:
    asked = replace(FOUR, answer="D")
    assert before_bracket(asked, said) == letter


@pytest.mark.parametrize(("said", "letter"), [
    ("A. it opens", "A"), ("c. it does", "C"), ("A) it opens", "A"), ("(B)", "B"), ("It is a dog", "A"),
    ("the answer is D", "D"), ("none", None), ("AB", None), ("e. no such", None),
])
def test_lone_letter(said: str, letter: str | None) -> None:
    assert lone_letter(FOUR, said) == letter


@pytest.mark.parametrize(("said", "letter"), [
    ("(A) or rather (C)", "C"), ("B", "B"), ("B.", "B"), ("A then B ", "B"), ("D. a hen", "D"),
    ("I think that it must be a cow", "C"), ("a cow", None), ("no idea at all what that might be", None),
])
def test_last_mention(said: str, letter: str | None) -> None:
    assert last_mention(FOUR, said) == letter


@pytest.mark.parametrize(("said", "letter"), [
    ("B", "B"), ("B. a dog", "B"), ("(C)", "C"), ("A B", None), ("A dog is what I see", "B"), ("it is a cow", "C"),
    ("a cow or a hen", None), ("nothing", None), ("The answer: D", "D"),
])
def test_one_letter_or_words(said: str, letter: str | None) -> None:
    assert one_letter_or_words(FOUR, said) == letter


@given(st.text(max_size=80), st.integers(2, 6))
def test_no_rule_gives_a_letter_without_an_option(said: str, options: int) -> None:
    asked = question(*[f"option {number}" for number in range(options)])
    for rule in RULES:
        assert rule(asked, said) in {None, *letters_of(asked)}


@given(st.integers(2, 6), st.data())
def test_every_rule_reads_the_letter_alone(options: int, data: st.DataObject) -> None:
    asked = question(*[f"option {number}" for number in range(options)])
    letter = data.draw(st.sampled_from(letters_of(asked)))
    assert [rule(asked, letter) for rule in RULES] == [letter] * len(RULES)


def test_a_guess_is_the_same_in_every_run_and_spread_over_the_options() -> None:
    guesses = [guess(question(*"abcd", question_id=str(number))) for number in range(400)]
    assert guesses == [guess(question(*"abcd", question_id=str(number))) for number in range(400)]
    assert all(70 <= guesses.count(letter) <= 130 for letter in "ABCD")  # 100 +- 3.5 standard deviations
