"""A Ray cluster on this machine, each node a session of processes that can be killed at once, as a machine dies."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.builds import clean_environment, running

_RAY = str(Path(sys.executable).with_name("ray"))
_SOCKETS = f"/tmp/vico-ray-{os.getpid()}"
"""Names of sockets must be short."""
_TRIES = 4
_PATIENCE = {"RAY_health_check_timeout_ms": "60000", "RAY_worker_register_timeout_seconds": "300"}
"""A node that is slow is not dead. One that was killed refuses the connection, which is noticed in seconds."""
_SMALL = str(100 << 20)
"""Bytes of shared memory; Ray takes a third of the machine's else."""


@dataclass
class Node:
    """One node."""

    process: subprocess.Popen
    own: Path
    """Its temporary folder; another node's is another one."""

    def kill(self) -> None:
        """SIGKILL for all of it."""
        for pid in running(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=30)


class Cluster:
    """A head that runs no tasks, and nodes that run one video at a time."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder, self._environment = folder, environment
        self.address = f"127.0.0.1:{_free_port()}"
        self.nodes: list[Node] = []
        self._head = self._start("head", "--head", f"--port={self.address.rpartition(':')[2]}", "--num-cpus=0",
                                 "--include-dashboard=false", f"--ray-client-server-port={_free_port()}",
                                 f"--temp-dir={_SOCKETS}")

    def add_node(self) -> Node:
        """One more node."""
        node = self._start(f"node{len(self.nodes)}", f"--address={self.address}", "--num-cpus=1")
        self.nodes.append(node)
        return node

    def stop(self) -> None:
        """End all nodes."""
        for node in (*self.nodes, self._head):
            node.kill()
        shutil.rmtree(_SOCKETS, ignore_errors=True)

    def _start(self, name: str, *arguments: str) -> Node:
        """A node that has joined the cluster; one after the other, as they take each other's names else.

        On a busy machine it takes longer than the thirty seconds that Ray allows: then it is tried again.
        """
        own = self._folder / name
        own.mkdir()
        for tries_left in reversed(range(_TRIES)):
            node = Node(self._spawn(own, *arguments), own)
            while node.process.poll() is None:
                if b"Ray runtime started" in (own / "log").read_bytes():
                    return node
                time.sleep(0.1)
            node.kill()
            assert tries_left, (own / "log").read_text()
        raise AssertionError("the last try returns or raises")

    def _spawn(self, own: Path, *arguments: str) -> subprocess.Popen:
        with (own / "log").open("wb") as log:
            return subprocess.Popen(
                [_RAY, "start", *arguments, "--block", "--disable-usage-stats", f"--object-store-memory={_SMALL}"],
                env=clean_environment(TMPDIR=str(own), PYTHONUNBUFFERED="1", **_PATIENCE, **self._environment),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


@contextlib.contextmanager
def cluster(folder: Path, nodes: int, **environment: str) -> Iterator[Cluster]:
    """A cluster of so many nodes, for the time of the block.

    Args:
        folder: for their temporary files.
        nodes: besides the head.
        environment: more variables for all of them.
    """
    made = Cluster(folder, environment)
    try:
        for _ in range(nodes):
            made.add_node()
        yield made
    finally:
        made.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
