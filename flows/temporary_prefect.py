"""A Prefect server for the time of one command, with a PREFECT_HOME of its own.

Prefect's own temporary server outlives a command that is killed; this one ends with the command,
whatever ends it, because it watches the pipe it was started with.

Nothing here imports Prefect at the top: its settings are read at import, and must be in place by then.
"""

import contextlib
import os
import secrets
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from flows.ray_address import own_address_towards

_STARTS_WITHIN_S = 120
_OUR_FAULT = 1


class PrefectDidNotStartError(Exception):
    """The temporary server did not come up."""


@contextlib.contextmanager
def temporary_prefect(home: Path, cluster: str | None = None) -> Iterator[str]:
    """Run a server; inside the block this process, and what it starts, uses it.

    Args:
        home: PREFECT_HOME, made if need be; nobody else may look into it.
        cluster: address of a cluster whose nodes use it too. The server then listens at this machine's address on the
            way there, and lets in who knows a password that is made for this command.

    Yields:
        The API's URL.

    Raises:
        PrefectDidNotStartError: with the last words of the server.
    """
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)  # its database holds the choices: the proxy with its password, signed addresses
    _forget_other_servers()
    os.environ.update({
        "PREFECT_HOME": str(home.absolute()), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1",
        "PREFECT_CLI_PROMPT": "false"})
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
    host = own_address_towards(cluster) if cluster else "127.0.0.1"
    if cluster:
        password = f"vico:{secrets.token_urlsafe(16)}"
        os.environ.update({"PREFECT_SERVER_API_AUTH_STRING": password, "PREFECT_API_AUTH_STRING": password})
    log = home / "server.log"
    closing = threading.Event()
    with log.open("wb") as words:
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", "flows.temporary_prefect_server", host], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=words, cwd=home,
            process_group=0)  # Ctrl-C is for the command: it needs the server to the end
    try:
        url = _wait(server, host, log)
        threading.Thread(target=_end_with_server, args=(server, closing), daemon=True).start()
        os.environ["PREFECT_API_URL"] = url
        yield url
    finally:
        closing.set()
        server.stdin.close()  # the server ends when it reads this
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        server.stdout.close()


def _end_with_server(server: subprocess.Popen, closing: threading.Event) -> None:
    """End this process when its server is killed: Prefect's clients would wait for it for minutes.

    Nothing that is finished is lost by that: products appear by a rename, and answers are on the disk at once.
    """
    server.wait()
    if not closing.is_set():
        os.write(2, b"build-vico: the Prefect server was ended from outside. What is finished is kept; "
                    b"the same command goes on.\n")
        os._exit(_OUR_FAULT)


def _forget_other_servers() -> None:
    """The command uses its own server, never the user's profile, server or key."""
    for name in [name for name in os.environ if name.startswith("PREFECT_") and "LOGGING" not in name]:
        del os.environ[name]


def _wait(server: subprocess.Popen, host: str, log: Path) -> str:
    line = server.stdout.readline().decode()
    if not line:
        server.wait()
        raise PrefectDidNotStartError(f"the Prefect server ended at once:\n{_last_words(log)}")
    url = f"http://{host}:{int(line)}/api"
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return url
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)
    raise PrefectDidNotStartError(f"the Prefect server did not answer at {url}:\n{_last_words(log)}")


def _last_words(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
