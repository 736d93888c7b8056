"""Prompts: files in `pipeline/prompts`, `{name}.v{version}.md`. A changed prompt is a new file with a new version."""

import functools
import string
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt; `name` holds its version. `$words` in the text are filled in."""

    name: str
    text: str

    def fill(self, **words: str) -> str:
        """The text with every `$word` replaced.

        Raises:
            KeyError: a word of the text is not given.
        """
        return string.Template(self.text).substitute(words)


@functools.cache
def load_prompt(name: str) -> Prompt:
    """The prompt `name`, as 'caption.v1'."""
    return Prompt(name, (resources.files("pipeline") / "prompts" / f"{name}.md").read_text(encoding="utf-8").strip())
