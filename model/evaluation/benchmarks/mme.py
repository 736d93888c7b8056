"""MME (Fu et al. 2023, arXiv 2306.13394): two yes-no questions an image, fourteen kinds.

A kind gives the share of right questions plus the share of images with both right, in per cent: at most 200. Perception
is the sum over ten kinds (at most 2,000), cognition over four (800).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.evaluation.accuracy import Estimate
from model.evaluation.figures import Item, mean_of_groups
from model.evaluation.frame_policy import FramePolicy
from model.evaluation.question import Question, Reply
from model.evaluation.task import AnswerRow, BadDataError, Figure, MissingDataError, Score, Task
from model.evaluation.viewing import Still

SOURCE = (
    "MME is MME_Benchmark_release_version of its authors (a folder a kind, with images and a .txt of question, tab, "
    "Yes or No for each).")
PERCEPTION = (
    "existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR")
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
_ASKED = " Please answer yes or no."
_SHORT = "\nAnswer the question using a single word or phrase."
_PICTURES = (".jpg", ".png", ".jpeg")


@dataclass(frozen=True, eq=False)
class Mme(Task):
    """All fourteen kinds."""

    def questions(self, data: Path) -> list[Question]:
        """See `Task.questions`."""
        return [question for kind in (*PERCEPTION, *COGNITION) for question in self._of_kind(data, kind)]

    def _of_kind(self, data: Path, kind: str) -> list[Question]:
        folder = data / self.folder / kind
        # Five kinds keep images and questions in folders of their own.
        texts = folder / "questions_answers_YN" if (folder / "questions_answers_YN").is_dir() else folder
        images = folder / "images" if (folder / "images").is_dir() else folder
        files = sorted(texts.glob("*.txt"))
        if not files:
            raise MissingDataError(f"{self.name}: no file {texts}/*.txt\n{self.source}")
        return [question for file in files for question in self._of_image(file, images, kind)]

    def _of_image(self, file: Path, images: Path, kind: str) -> list[Question]:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        pairs = [line.rsplit("\t", 1) for line in lines]
        if len(pairs) != 2 or any(len(pair) != 2 or _yes_or_no(pair[1]) is None for pair in pairs):
            raise BadDataError(f"{file} must hold two lines of a question, a tab, and Yes or No")
        places = [images / f"{file.stem}{ending}" for ending in _PICTURES]
        image = next((place for place in places if place.is_file()), places[0])
        return [
            Question(
                question_id=f"{kind}/{file.stem}/{number}", viewing=Still(image, f"{kind}/{image.name}"),
                prompt=question.strip().replace(_ASKED, "") + _SHORT, format="yes_no", answer=_yes_or_no(answer),
                attributes={"kind": kind})
            for number, (question, answer) in enumerate(pairs)]

    def score(self, question: Question, reply: Reply) -> Score:
        """1 for the right word."""
        word = _yes_or_no(reply.text)
        return Score(word, float(word == question.answer))

    def figures(self, rows: Sequence[AnswerRow]) -> list[Figure]:
        """Perception, cognition, and each kind, in MME's points. An image of which one question was asked counts as
        one with the other wrong.
        """
        scores: dict[tuple[str, str], float] = defaultdict(float)
        for row in rows:
            scores[row.attributes["kind"], row.video] += row.score
        items = [Item(video, 100 * (right / 2 + (right == 2)), {"kind": kind})
                 for (kind, video), right in scores.items()]
        parts = {"perception": PERCEPTION, "cognition": COGNITION,
                 **{f"kind: {kind}": (kind,) for kind in (*PERCEPTION, *COGNITION)}}
        found = []
        for name, kinds in parts.items():
            some = [item for item in items if item.attributes["kind"] in kinds]
            if some:
                found.append(Figure(name, _sum_over_kinds(some), self.published.get(name)))
        return found


def _sum_over_kinds(items: Sequence[Item]) -> Estimate:
    kinds = [item.attributes["kind"] for item in items]
    mean, count = mean_of_groups(items, kinds), len(set(kinds))
    return Estimate(mean.mean * count, mean.half_width * count, mean.questions, mean.videos)


def _yes_or_no(text: str) -> str | None:
    """The first four letters decide, as in MME's script; "y" and "n" alone count too."""
    word = text.lower().strip().replace(".", "")
    if len(word) == 1:
        return {"y": "yes", "n": "no"}.get(word)
    return "yes" if "yes" in word[:4] else "no" if "no" in word[:4] else None


TASKS: list[Task] = [Mme("mme", "MME", SOURCE, FramePolicy(1))]
