"""Many builds in one process with one Prefect server: for tests that need several builds, and not the start of each.

As a program it reads a command line of `build-vico` per line, as a JSON list, and answers with a line each.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.builds import clean_environment


class Builder:
    """Runs builds one after another."""

    def __init__(self, process: subprocess.Popen) -> None:
        self._process = process

    def build(self, *arguments: str | Path) -> None:
        """Run a command line that must succeed."""
        self._process.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer == "built", answer or "the process died"


@contextlib.contextmanager
def builder() -> Iterator[Builder]:
    """A process that builds, for the time of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.one_prefect"], env=clean_environment(), text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[1])
    try:
        yield Builder(process)
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()


def main() -> None:
    """The process."""
    from flows.temporary_prefect import temporary_prefect

    with tempfile.TemporaryDirectory() as home, temporary_prefect(Path(home)):
        from flows.build_vico import build_vico
        from flows.build_vico_command import choices_of_flow, read_command_line

        for line in sys.stdin:
            try:
                build_vico(**choices_of_flow(read_command_line(json.loads(line))))
                print("built", flush=True)
            except Exception as error:  # told to the test, which fails
                print(repr(error).replace("\n", " "), flush=True)


if __name__ == "__main__":
    main()
