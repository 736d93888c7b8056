"""What a grid tells of itself while it is worked off: a line when a part begins, and one when it ends."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Progress:
    """Says what begins and ends, in words on stdout or as JSON on stderr.

    Args:
        as_json: an object a line.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def say(self, event: str, **facts: Any) -> None:
        """Say one thing."""
        if self._as_json:
            print(json.dumps({"event": event, **facts}), file=sys.stderr, flush=True)
        else:
            words = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
            print(f"{event}: {words}" if words else event, flush=True)

    @contextmanager
    def of(self, is_needed: bool, what: str, **facts: Any) -> Iterator[None]:
        """Say when a part begins and ends, unless it was done before.

        Args:
            is_needed: whether there is anything to do.
            what: is done.
            facts: about what.
        """
        if not is_needed:
            yield
            return
        self.say(f"{what} begins", **facts)
        started = time.monotonic()
        yield
        self.say(f"{what} ended", **facts, seconds=round(time.monotonic() - started, 1))
