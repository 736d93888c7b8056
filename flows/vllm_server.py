"""One vLLM server as a child process: started, awaited, stopped, and never left behind."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_STOPS_WITHIN_S = 30.0
_LAST_LINES = 25
_END_OF_LOG = 4096
_SET_PARENT_DEATH_SIGNAL = 1


class ServerDidNotStartError(Exception):
    """The server ended, or was not healthy in time; with its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlan:
    """How a server is started."""

    role: str
    """captions or order."""
    model: str
    host: str
    port: int
    images: int
    """Most images in one prompt; 0 for a model that takes text alone."""
    tensor_parallel: int = 1
    data_parallel: int = 1
    gpus: str | None = None
    """The GPUs it may see, as 0,1; None for all."""
    cpu: bool = False
    more: tuple[str, ...] = ()
    """Further flags for vLLM, as they are."""

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://{self.host}:{self.port}/v1"

    @property
    def served_name(self) -> str:
        """The name that requests use: never a path of this machine, as it becomes part of data sets."""
        return Path(self.model).name if Path(self.model).exists() else self.model

    def arguments(self) -> list[str]:
        """The flags of the server; those that suit this job first, then the user's own."""
        images = [f"--limit-mm-per-prompt={{\"image\":{self.images}}}"] if self.images else []
        return [
            "--model", self.model, "--served-model-name", self.served_name, "--host", self.host,
            "--port", str(self.port), *images,
            # All clips share the words of the prompt; what a clip says differs, so nothing else is worth caching.
            "--enable-prefix-caching",
            # A grammar with free whitespace lets a model fill an answer with it.
            "--structured-outputs-config", '{"backend":"xgrammar","disable_any_whitespace":true}',
            *(["--tensor-parallel-size", str(self.tensor_parallel)] if self.tensor_parallel > 1 else []),
            *(["--data-parallel-size", str(self.data_parallel)] if self.data_parallel > 1 else []),
            *(["--dtype", "float32", "--enforce-eager"] if self.cpu else []),
            *self.more]

    def environment(self, key: str | None) -> dict[str, str]:
        """Variables of the process. The key travels here, not on the command line, which every user of a machine sees
        and vLLM writes into its log."""
        more = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
        if self.cpu:
            more |= {"VLLM_CPU_KVCACHE_SPACE": os.environ.get("VLLM_CPU_KVCACHE_SPACE", "1"),
                     "VLLM_WORKER_MULTIPROCESSING_METHOD": "fork"}
        if Path(self.model).exists():
            more["HF_HUB_OFFLINE"] = "1"
        if self.gpus is not None:
            more["CUDA_VISIBLE_DEVICES"] = self.gpus
        if key:
            more["VLLM_API_KEY"] = key
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        return kept | more


class VllmServer:
    """The process of a plan; stopped at the end of the `with` block."""

    def __init__(self, plan: ServerPlan, python: Path, log: Path, key: str | None) -> None:
        """Start it.

        Args:
            plan: how.
            python: interpreter of vLLM's environment.
            log: where its words go.
            key: what clients have to send; None for nothing.
        """
        self.plan, self._log = plan, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as words:
            # The api_server module and not `vllm serve`, which does not find its own package in the CPU build.
            self._process = subprocess.Popen(
                [python, "-m", "vllm.entrypoints.openai.api_server", *plan.arguments()], env=plan.environment(key),
                stdin=subprocess.DEVNULL, stdout=words, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None)

    def __enter__(self) -> "VllmServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def wait_until_healthy(self, within_s: float, stop: threading.Event, told: Callable[[str], None]) -> None:
        """Return when it answers, or when `stop` is set.

        Args:
            within_s: how long to wait, in seconds.
            stop: ends the wait.
            told: called now and then with the last line of its log.

        Raises:
            ServerDidNotStartError: it does not.
        """
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and self.running:
            try:
                with urllib.request.urlopen(f"http://{self.plan.host}:{self.plan.port}/health", timeout=5):
                    return
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                told(self._last_line())
                if stop.wait(0.5):
                    return
        what = f"is not healthy after {within_s:.0f} s" if self.running else f"ended with {self._process.returncode}"
        raise ServerDidNotStartError(f"the server of {self.plan.model} {what}. Its last words:\n{self.last_words()}\n"
                                     f"All of them are in {self._log}")

    def _last_line(self) -> str:
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - _END_OF_LOG))
            lines = log.read().decode(errors="replace").split("\n")
        return next((line.rpartition("\r")[2].strip() for line in reversed(lines) if line.strip()), "")

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_LAST_LINES:])

    def stop(self) -> None:
        """Ask it to end, with all its workers; after half a minute end it."""
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(_STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        # Workers that outlive their parent would hold the GPU.
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _end_with_parent() -> None:
    """In the child: be told to end when the command that started it is killed."""
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
