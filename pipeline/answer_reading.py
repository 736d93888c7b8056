"""Reads what a model wrote: JSON in a known shape, its strings made fit to be shown."""

import json
import unicodedata
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ValidationError

from schemas.faults import faults_in

Shape = TypeVar("Shape", bound=BaseModel)
_FAULTS_SAID = 3


class UnusableAnswerError(Exception):
    """Why an answer cannot be used, in words that the model is told."""


def one_line(text: str) -> str:
    """A text on one line, without control characters and what is no character at all."""
    kept = "".join(" " if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") else sign for sign in text)
    return " ".join(kept.split())


Line = Annotated[str, AfterValidator(one_line)]
"""A string of an answer."""


def read_answer(text: str, shape: type[Shape]) -> Shape:
    """An answer as `shape`.

    Control characters inside strings are let through, as models write them where the grammar of a server allows.

    Raises:
        UnusableAnswerError: it is empty, no JSON, or of another shape.
    """
    if not text.strip():
        raise UnusableAnswerError("it is empty")
    try:
        values: Any = json.loads(text, strict=False)
    except json.JSONDecodeError as error:
        raise UnusableAnswerError(f"it is not JSON: {error.msg} at character {error.pos}") from error
    except (ValueError, RecursionError) as error:
        raise UnusableAnswerError("it is JSON with a number too long, or nested too deep") from error
    try:
        return shape.model_validate(values)
    except ValidationError as error:
        raise UnusableAnswerError("; ".join(faults_in(error, "answer")[:_FAULTS_SAID])) from error
