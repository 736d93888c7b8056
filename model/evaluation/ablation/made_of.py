"""What a finished part was made of, written beside it: a grid file that was changed, another model or other data must
not be mixed up with what was made before.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class GridChangedError(Exception):
    """A part was made of something else than the grid says or is given now; the message says of what."""


def note_made_of(file: Path, facts: Mapping[str, Any]) -> None:
    """Write the facts down, or compare them with those that were written down.

    Args:
        file: JSON, beside the part.
        facts: what it is made of.

    Raises:
        GridChangedError: they differ.
    """
    now = json.loads(json.dumps(facts))
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
        return
    before, now = dict(_flat(json.loads(file.read_text(encoding="utf-8")))), dict(_flat(now))
    differ = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if differ:
        words = ", ".join(f"{name} was {before.get(name)!r} and is {now.get(name)!r}" for name in differ)
        raise GridChangedError(
            f"{file} belongs to another grid, model or data: {words}. Choose another --out, or remove {file.parent} to "
            "have it made again.")


def _flat(facts: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Values that are no mapping, by their path: "choices.lr"."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value
