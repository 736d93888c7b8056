"""Ready questions of `ask-video`, each with how its answer becomes spans of time."""

from dataclasses import dataclass

from model.where import Placing


@dataclass(frozen=True, slots=True)
class Recipe:
    """A question, and how its answer becomes spans.

    Attributes:
        name: as --recipe has it.
        question: put to the model, word for word.
        placing: see `model.where.Placing`.
    """

    name: str
    question: str
    placing: Placing


RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (
    Recipe(
        "find-advertisement",
        "An advertisement that does not belong to this video was inserted into it. What does the advertisement show?",
        "above"),
    Recipe(
        "anomaly",
        "Something happens in this video that is unlike everything else in it. What is it?",
        "above"),
    Recipe(
        "chapters",
        "Divide this video into chapters. Write one line for each chapter, in their order: what it is about.",
        "lines"),
)}
