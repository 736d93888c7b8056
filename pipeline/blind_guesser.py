"""The built-in guesser: learns from questions of other videos which options are right more often than by chance.

For words and shapes of options it counts how often they are right against how often chance would have it
(with the question's wording, for words that are early or late, and expanded from orders such as (2) → (1)),
and adds up the logarithms, as naive Bayes does. It is trained once, on the first build that has enough
questions, and kept in the output; each video is judged by the half that was trained without it.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline.blind_check import ASKED, BlindQuestion, Guesses, shuffled_options
from pipeline.options import stems
from pipeline.work_store import key_of, write_file
from schemas.records import Sample

VERSION = "1"
FILE_NAME = "blind_guesser.json"
"""Where it lies in an output folder."""
MOST_VIDEOS = 400
"""It is trained on at most so many videos, those whose ids come first."""
FEWEST_VIDEOS, FEWEST_SAMPLES = 8, 800
"""From so many videos, and so many multiple-choice questions, a guesser is trained."""

_PRIOR = 4.0
"""Right answers that every feature is believed to have had by chance."""
_WORTH_KEEPING = 0.05
_FEWEST_SURE = 40
_AHEAD = 0.1
"""By so much must sure answers beat chance, less two and a half standard errors."""
_ERRORS = 2.5


@dataclass(frozen=True, slots=True)
class BuiltInGuesser:
    """Two halves, each trained on about half of the videos, and how sure an answer must be, by kind."""

    weights: tuple[dict[str, float], dict[str, float]]
    margins: dict[str, float]

    def for_video(self, video_id: str) -> "HalfGuesser":
        """The half that was not trained on a video."""
        return HalfGuesser(self.weights[1 - _half(video_id)], self.margins)

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        content = {"version": VERSION, "weights": self.weights, "margins": self.margins}
        write_file(path, (json.dumps(content, sort_keys=True, ensure_ascii=False) + "\n").encode())

    @staticmethod
    def load(path: Path) -> "BuiltInGuesser | None":
        """The guesser of an output; None if there is none yet, or it is of another version."""
        if not path.exists():
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != VERSION:
            return None
        return BuiltInGuesser(tuple(content["weights"]), content["margins"])


@dataclass(frozen=True, slots=True)
class HalfGuesser:
    """A `BlindChecker` made of one half."""

    weights: dict[str, float]
    margins: dict[str, float]
    name: str = "built-in"

    def depends_on(self) -> Any:
        """A hash of what it learned."""
        return key_of(VERSION, self.weights, self.margins)

    def guess(self, questions: Sequence[BlindQuestion]) -> list[Guesses]:
        """Always the option it is sure of; where it is not sure, the one that stands first this time."""
        return [self._guess(one) for one in questions]

    def _guess(self, one: BlindQuestion) -> Guesses:
        scores = [_score(self.weights, features) for features in _features(one.kind, one.question, one.options)]
        best, second = sorted(scores, reverse=True)[:2]
        if best - second >= self.margins.get(one.kind, math.inf):
            return Guesses(ASKED if scores.index(best) == one.answer_index else 0, ASKED)
        orders = shuffled_options(len(one.options), one.seed)
        return Guesses(sum(order[0] == one.answer_index for order in orders), ASKED)


def train(samples: Iterable[Sample]) -> BuiltInGuesser | None:
    """A guesser from finished questions; None when there are too few to learn from.

    Args:
        samples: questions that no guesser has judged yet, in any order.
    """
    usable = sorted((sample for sample in samples if sample.options), key=lambda sample: sample.sample_id)
    if len({sample.video_id for sample in usable}) < FEWEST_VIDEOS or len(usable) < FEWEST_SAMPLES:
        return None
    weights = tuple(_weights(sample for sample in usable if _half(sample.video_id) == half) for half in (0, 1))
    leads: dict[str, list[tuple[float, bool, float]]] = defaultdict(list)
    for sample in usable:
        scores = [_score(weights[1 - _half(sample.video_id)], features)
                  for features in _features(sample.kind, sample.question, sample.options)]
        best, second = sorted(scores, reverse=True)[:2]
        leads[sample.kind].append((best - second, scores.index(best) == sample.answer_index, 1 / len(scores)))
    return BuiltInGuesser(weights, {
        kind: margin for kind, some in sorted(leads.items()) if (margin := _margin(some)) is not None})


def _weights(samples: Iterable[Sample]) -> dict[str, float]:
    right: Counter[str] = Counter()
    by_chance: dict[str, float] = defaultdict(float)
    for sample in samples:
        for index, features in enumerate(_features(sample.kind, sample.question, sample.options)):
            for feature in features:
                by_chance[feature] += 1 / len(sample.options)
                right[feature] += index == sample.answer_index
    weights = {feature: round(math.log((right[feature] + _PRIOR) / (chance + _PRIOR)), 4)
               for feature, chance in sorted(by_chance.items())}
    return {feature: weight for feature, weight in weights.items() if abs(weight) >= _WORTH_KEEPING}


def _margin(leads: list[tuple[float, bool, float]]) -> float | None:
    """The smallest lead from which on answers are right clearly more often than by chance; None if none is."""
    leads = sorted(leads, key=lambda lead: -lead[0])
    right, chance, found = 0, 0.0, None
    for count, (lead, is_right, by_chance) in enumerate(leads, start=1):
        right, chance = right + is_right, chance + by_chance
        accuracy = right / count
        error = math.sqrt(accuracy * (1 - accuracy) / count)
        if count >= _FEWEST_SURE and accuracy - _ERRORS * error > chance / count + _AHEAD:
            found = lead
    return found if found else None


def _score(weights: dict[str, float], features: Iterable[str]) -> float:
    return sum(weights.get(feature, 0.0) for feature in features)


def _features(kind: str, question: str, options: Sequence[str]) -> list[list[str]]:
    """What is counted of each option."""
    head, *lines = question.split("\n")
    asked, *words = [stems(text) for text in (" ".join(lines), *options)]
    shared = [len(asked & mine) for mine in words]
    central = [sum(len(mine & other) for other in words) for mine in words]
    lengths = [len(option) for option in options]
    found = []
    for index, option in enumerate(options):
        shape = [("shared", shared), ("central", central), ("length", lengths)]
        features = [f"{kind}:{name}:{_rank(values, index)}" for name, values in shape]
        features += _order_features(kind, option, lines) if "→" in option else [
            f"{kind}:{prefix}:{stem}" for stem in sorted(words[index]) for prefix in ("any", head)]
        found.append(features)
    return found


def _rank(values: Sequence[int], index: int) -> str:
    """Whether a value is the only highest, the only lowest, or neither."""
    if values.count(values[index]) > 1:
        return "shared"
    return "highest" if values[index] == max(values) else "lowest" if values[index] == min(values) else "between"


def _order_features(kind: str, option: str, lines: Sequence[str]) -> Iterator[str]:
    """The words of the moments that an order puts at its beginning and at its end."""
    places = [int(number.strip("() ")) - 1 for number in option.split("→")]
    yield f"{kind}:order:{option}"
    for stem in sorted(stems(lines[places[0]])):
        yield f"{kind}:begins:{stem}"
    for stem in sorted(stems(lines[places[-1]])):
        yield f"{kind}:ends:{stem}"


def _half(video_id: str) -> int:
    return sha256(f"guesser {video_id}".encode()).digest()[0] % 2
