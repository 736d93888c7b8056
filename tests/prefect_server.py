"""A Prefect server and workers as processes of their own, and Prefect's command against them."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PREFECT = Path(sys.executable).with_name("prefect")


class Prefect:
    """A server and a worker, and a way to run Prefect's command against them."""

    def __init__(self, home: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
            "PREFECT_HOME": str(home), "PREFECT_API_URL": self.url, "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1"}
        self.home = home
        self.processes: list[subprocess.Popen] = []

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start a command that goes on, in a session of its own."""
        with (self.home / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen([PREFECT, *arguments], env=self.environment, cwd=REPOSITORY, stdout=log,
                                       stderr=log, start_new_session=True)
        self.processes.append(process)
        return process

    def serve(self) -> subprocess.Popen:
        """Start the server, and wait until it answers."""
        server = self.start("server", "start", "--host", "127.0.0.1", "--port", str(self.port), "--no-ui")
        self.wait_until_healthy()
        return server

    def start_worker(self) -> subprocess.Popen:
        """Start a worker of the pool `local`."""
        return self.start("worker", "start", "--pool", "local", "--type", "process")

    def run(self, *arguments: str) -> str:
        """Run a command that must succeed."""
        done = subprocess.run(
            [PREFECT, "--no-prompt", *arguments], env=self.environment, cwd=REPOSITORY, capture_output=True, text=True,
            timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr + self.logs()
        return done.stdout

    def logs(self) -> str:
        """The last words of everything that was started."""
        return "".join(path.read_text(errors="replace")[-3000:] for path in self.home.glob("*.log"))

    def ask(self, path: str, body: dict) -> list[dict]:
        """Ask the API."""
        request = urllib.request.Request(
            f"{self.url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def wait_until_healthy(self) -> None:
        """Wait until the server answers."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.2)
        raise TimeoutError(self.logs())

    def stop(self) -> None:
        """End everything that was started."""
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
