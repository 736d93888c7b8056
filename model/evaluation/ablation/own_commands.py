"""Starting the commands of this package in processes of their own, several at a time, and stopping them."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

_MODULES = {
    "build-vico": "flows.build_vico_command", "import-instructions": "pipeline.import_instructions",
    "train-on-shards": "model.training.train_on_shards_command",
    "evaluate-video-xl": "model.evaluation.evaluate_command",
    "measure-films": "model.evaluation.ablation.measure_films"}
"""By module, so that they are those of this very package."""
_STOPPED = 4


class CommandFailedError(Exception):
    """A command did not end well; the message says which and where its words are."""


class CommandStoppedError(Exception):
    """A command was stopped and can go on."""


class OwnCommands:
    """Starts commands; what they say goes into files.

    Args:
        threads: of each command; None: as PyTorch has it.
        launch: words in front of commands that may run on several devices, such as torchrun with its options.
    """

    def __init__(self, threads: int | None = None, launch: Sequence[str] = ()) -> None:
        self._environment = os.environ | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
        self._launch = list(launch)
        self._running: set[subprocess.Popen] = set()
        self._lock, self._is_stopped = threading.Lock(), False

    def run(self, log: Path, command: str, *arguments: str | Path, launched: bool = False) -> None:
        """Run one command to its end.

        Args:
            log: what it says is added there.
            command: one of ours.
            arguments: its own.
            launched: whether the words of `launch` go in front.

        Raises:
            CommandFailedError: it does not end with 0.
            CommandStoppedError: it was stopped.
        """
        program = f"import sys; from {_MODULES[command]} import main; sys.exit(main())"
        words = [*(self._launch if launched else []), sys.executable, "-c", program, *map(str, arguments)]
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as said:
            code = self._wait(words, said)
        if self._is_stopped:
            raise CommandStoppedError(f"{command} was stopped")
        if code:
            raise CommandFailedError(f"{command} ended with {code}; what it said: {log}")

    def _wait(self, words: Sequence[str], said: object) -> int:
        with self._lock:
            if self._is_stopped:
                return _STOPPED
            # A process group of its own: Ctrl-C reaches us alone, and each command is told once, by `stop`.
            process = subprocess.Popen(
                words, stdout=said, stderr=said, stdin=subprocess.DEVNULL, env=self._environment,
                process_group=0)
            self._running.add(process)
        try:
            return process.wait()
        finally:
            with self._lock:
                self._running.discard(process)

    def go_on(self) -> None:
        """For long work in this process: to be called between its parts.

        Raises:
            CommandStoppedError: `stop` was called.
        """
        if self._is_stopped:
            raise CommandStoppedError("stopped")

    def stop(self) -> None:
        """Ask all that run to stop; none begins any more."""
        with self._lock:
            self._is_stopped = True
            for process in self._running:
                process.terminate()
