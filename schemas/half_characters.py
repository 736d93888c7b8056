"""Half characters in what strangers wrote: JSON may escape one half of an emoji alone, which no table can hold."""


def without_half_characters(text: str) -> str:
    """A text with two halves (lone surrogates) joined where they stand together, and else � in place of each."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
