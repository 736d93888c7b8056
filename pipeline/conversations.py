"""A sample as LLaVA-style turns, the form a trainer reads."""

from schemas.records import Sample

_LETTERS = "ABCDEFGH"


def conversations(sample: Sample) -> list[dict[str, str]]:
    """One turn of a human who shows a video and asks, one of the model that answers."""
    return [{"from": "human", "value": f"<image>\n{asked(sample)}"}, {"from": "gpt", "value": _answer(sample)}]


def asked(sample: Sample) -> str:
    """The question with its options, lettered."""
    if not sample.options:
        return sample.question
    options = "\n".join(f"({letter}) {option}" for letter, option in zip(_LETTERS, sample.options, strict=False))
    return f"{sample.question}\nOptions:\n{options}\nGive the letter of the right option and its words."


def _answer(sample: Sample) -> str:
    if sample.answer_index is None:
        return sample.answer
    return f"({_LETTERS[sample.answer_index]}) {sample.answer}"
