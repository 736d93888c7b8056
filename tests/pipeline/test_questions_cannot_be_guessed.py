"""No letter is right more often, and a guesser that reads question and options but sees no video stays at chance.

The guesser is of another family than the built-in one: character n-grams and a linear model. Films are split in
two halves, as a data set is split by video: trained on the questions of one, it is asked those of the other.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import pytest
from scipy.sparse import csr_matrix, hstack
from scipy.stats import chisquare
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression

from pipeline.questions import ask_about
from schemas.build_config import BuildConfig
from schemas.records import Sample
from tests.scripted_films import Film, scripted_film, storied_film

CONFIG = BuildConfig(captioner="file", captions=["given.jsonl"], captions_complete=True)
CHOICE_KINDS = (
    "order_events", "order_actions", "first_or_last", "came_next", "came_before", "what_follows", "when",
    "which_minute", "look_changed", "place_changed", "how_often", "never_happens")
OPEN_KINDS = ("storyline", "describe", "say_what_follows")
CANNED_KINDS = tuple(kind for kind in (*CHOICE_KINDS, *OPEN_KINDS) if kind != "how_often")


@dataclass(frozen=True)
class Riddle:
    """A question without its video: what may be answered, and which of it is right."""

    film: int
    question: str
    options: list[str]
    right: int
    letter: int | None


def _scripted(seed: int) -> Film:
    return scripted_film(seed, clips=130, repeated=40)


def _storied(seed: int) -> Film:
    return storied_film(seed, clips=130)


def _riddles(film: int, samples: list[Sample]) -> Iterator[tuple[str, Riddle]]:
    rng = np.random.default_rng(film)
    said: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        said[sample.kind].append(sample.answer)
    for sample in samples:
        _head, *lines = sample.question.split("\n")
        options = sample.options or [line[2:] for line in lines if line.startswith("- ")]
        if sample.kind == "storyline":
            told = [line.split(". ", 1)[1] for line in sample.answer.split("\n")]
            mixed = told
            while mixed in (told, options):
                mixed = rng.permutation(told).tolist()
            wrong = "\n".join(f"{number}. {line}" for number, line in enumerate(mixed, start=1))
            options = [sample.answer, wrong]
        elif sample.kind in ("describe", "say_what_follows"):  # the answer, and those to other questions
            others, wrong = said[sample.kind], 1 if sample.kind == "describe" else 3
            at = others.index(sample.answer)
            options = [sample.answer, *(others[(at + more) % len(others)] for more in range(1, wrong + 1))]
        if len(options) == len(set(options)) > 1:
            mixed = rng.permutation(options).tolist()  # a guesser that knows nothing takes the first
            yield sample.kind, Riddle(film, sample.question, mixed, mixed.index(sample.answer), sample.answer_index)


def _collect(make: Callable[[int], Film], kinds: tuple[str, ...], enough: int) -> dict[str, list[Riddle]]:
    found: dict[str, list[Riddle]] = defaultdict(list)
    for seed in count():
        for kind, riddle in _riddles(seed, list(ask_about(CONFIG, make(seed).subject).samples.values())):
            found[kind].append(riddle)
        if seed % 2 and all(len(found[kind]) >= enough for kind in kinds):
            return found
        assert seed < 40 or all(len(found[kind]) > seed // 20 for kind in kinds), "a kind gives no questions"


def _grams(texts: list[str]) -> csr_matrix:
    vectorizer = HashingVectorizer(analyzer="char", ngram_range=(1, 4), n_features=1 << 16, alternate_sign=False)
    return vectorizer.transform(texts)


def _guess(riddles: list[Riddle]) -> tuple[float, float, int]:
    """Accuracy on the films not trained on, the accuracy that chance has, and how many were asked."""
    options = [option for riddle in riddles for option in riddle.options]
    asked = [f"{riddle.question}\n{option}" for riddle in riddles for option in riddle.options]
    features = hstack([_grams(options), _grams(asked)]).tocsr()
    right = np.array([index == riddle.right for riddle in riddles for index in range(len(riddle.options))])
    trained = np.array([riddle.film % 2 == 0 for riddle in riddles for _ in riddle.options])
    model = LogisticRegression(C=10.0, max_iter=150).fit(features[trained], right[trained])
    scores = model.decision_function(features)
    starts = np.cumsum([0, *(len(riddle.options) for riddle in riddles)])
    tested = [number for number, riddle in enumerate(riddles) if riddle.film % 2]
    hits = sum(int(scores[starts[n]: starts[n + 1]].argmax()) == riddles[n].right for n in tested)
    chance = sum(1 / len(riddles[n].options) for n in tested)
    return hits / len(tested), chance / len(tested), len(tested)


@pytest.fixture(scope="module", params=[(_scripted, (*CHOICE_KINDS, *OPEN_KINDS)), (_storied, CANNED_KINDS)],
                ids=["scripted", "canned"])
def riddles(request: pytest.FixtureRequest, long_tests: bool) -> tuple[tuple[str, ...], dict[str, list[Riddle]]]:
    make, kinds = request.param
    return kinds, _collect(make, kinds, 4000 if long_tests else 250)


def test_no_letter_is_right_more_often_than_the_others(
    riddles: tuple[tuple[str, ...], dict[str, list[Riddle]]]
) -> None:
    kinds, found = riddles
    chances = []
    for kind in set(kinds) & set(CHOICE_KINDS):
        letters: dict[int, Counter[int]] = defaultdict(Counter)
        for riddle in found[kind]:
            if riddle.letter is not None:
                letters[len(riddle.options)][riddle.letter] += 1
        for size, counts in letters.items():
            if counts.total() >= 50:
                chances.append(chisquare([counts[letter] for letter in range(size)]).pvalue)
    assert len(chances) >= 11
    assert min(chances) > 0.01 / len(chances)


def test_a_guesser_of_another_family_stays_at_chance(
    riddles: tuple[tuple[str, ...], dict[str, list[Riddle]]], long_tests: bool
) -> None:
    """Within 3 points at full count (thousands of questions a kind); with fewer, within four standard errors."""
    kinds, found = riddles
    beyond = {}
    for kind in kinds:
        accuracy, chance, asked = _guess(found[kind][: 5000 if long_tests else 500])
        print(f"{kind:18} {100 * accuracy:5.1f} % right, chance {100 * chance:5.1f} %, {asked} asked", flush=True)
        if abs(accuracy - chance) > (0.03 if long_tests else _four_errors(chance, asked)):
            beyond[kind] = (round(accuracy, 3), round(chance, 3), asked)
    assert not beyond


def test_what_follows_is_not_told_by_the_words_that_a_scene_shares(
    riddles: tuple[tuple[str, ...], dict[str, list[Riddle]]]
) -> None:
    """Of what may follow a moment, neither that with the most words of the moment nor that with the fewest."""
    beyond = {}
    for kind in ("came_next", "came_before", "what_follows", "say_what_follows"):
        asked = riddles[1][kind]
        right: Counter[str] = Counter()
        for riddle in asked:
            moment = _words(riddle.question.split("\n")[1])
            shared = [len(moment & _words(option)) for option in riddle.options]
            for name, best in (("most", max(shared)), ("fewest", min(shared))):
                right[name] += (shared[riddle.right] == best) / shared.count(best)
        chance = sum(1 / len(riddle.options) for riddle in asked) / len(asked)
        figures = {name: round(count / len(asked), 3) for name, count in right.items()}
        print(f"{kind:18} {len(asked)} asked, right by words in common {figures}, chance {chance:.3f}", flush=True)
        if max(figures.values()) > chance + max(0.03, _four_errors(chance, len(asked))):
            beyond[kind] = figures
    assert not beyond


def _words(text: str) -> set[str]:
    return set(text.casefold().rstrip(".").split())


def _four_errors(chance: float, asked: int) -> float:
    return 4 * math.sqrt(chance * (1 - chance) / asked)
