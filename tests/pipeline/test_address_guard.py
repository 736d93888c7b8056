"""Addresses that no stranger's link may lead to, and the guard that looks at each connection as it is made."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.address_guard import ForbiddenError, Permissions, guard
from pipeline.killable_worker import KillableWorker, Report
from pipeline.private_networks import may_reach, parse_allowed
from tests.fetch_server import canary


@pytest.mark.parametrize("host", [
    "127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "2002:7f00:1::", "2001:db8::1",
    "localhost", "example.org", "127.1", "0x7f000001", "2130706433", "",
])
def test_what_is_not_public_may_not_be_reached(host: str) -> None:
    assert not may_reach(host, 80, [])


@pytest.mark.parametrize("host", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946"])
def test_public_addresses_may(host: str) -> None:
    assert may_reach(host, 443, [])


@pytest.mark.parametrize(("rule", "yes", "no"), [
    ("10.0.0.0/8", ("10.1.2.3", 1), ("192.168.0.1", 1)),
    ("127.0.0.1:8000", ("127.0.0.1", 8000), ("127.0.0.1", 8001)),
    ("127.0.0.1:8000", ("::ffff:127.0.0.1", 8000), ("127.0.0.2", 8000)),
    ("[::1]:8000", ("::1", 8000), ("::1", 80)),
    ("::1", ("::1", 80), ("127.0.0.1", 80)),
])
def test_what_is_allowed_is_only_that(rule: str, yes: tuple[str, int], no: tuple[str, int]) -> None:
    assert may_reach(*yes, [rule])
    assert not may_reach(*no, [rule])
    assert may_reach(*no, ["any"])


@pytest.mark.parametrize("text", ["localhost", "10.0.0.0/33", "127.0.0.1:0", "127.0.0.1:http", "[::1]8000x", "any"])
def test_what_is_no_network_cannot_be_allowed(text: str) -> None:
    with pytest.raises(ValueError):
        parse_allowed(text)


@pytest.fixture
def guarded() -> Iterator[KillableWorker]:
    worker = KillableWorker()
    yield worker
    worker.close()


def _connect(report: Report, folder: Path, host: str, port: int, allowed: tuple[str, ...]) -> str:
    guard(Permissions(folder=folder, allowed_hosts=allowed))
    with socket.socket() as line:
        line.connect((host, port))
    return "connected"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_connection_is_refused_before_it_is_made(guarded: KillableWorker, tmp_path: Path, host: str) -> None:
    with canary() as bird, pytest.raises(ForbiddenError, match="no public address"):
        guarded.run(_connect, tmp_path, host, bird.port, (), stall_seconds=20)
    assert bird.visits == []


def test_the_canary_hears_what_is_allowed(guarded: KillableWorker, tmp_path: Path) -> None:
    with canary() as bird:
        rule = f"127.0.0.1:{bird.port}"
        assert guarded.run(_connect, tmp_path, "127.0.0.1", bird.port, (rule,), stall_seconds=20) == "connected"
    assert len(bird.visits) == 1


def _try(report: Report, folder: Path, what: str, target: str) -> str:
    guard(Permissions(folder=folder))
    inside = folder / "inside"
    actions = {
        "write inside": lambda: inside.write_bytes(b"x"),
        "read": lambda: Path(target).read_bytes(),
        "write": lambda: Path(target).write_bytes(b"x"),
        "append": lambda: os.close(os.open(target, os.O_WRONLY | os.O_APPEND)),
        "move out": lambda: (inside.write_bytes(b"x"), inside.rename(target)),
        "remove": lambda: Path(target).unlink(),
        "cut": lambda: os.truncate(target, 0),
        "open to all": lambda: Path(target).chmod(0o777),
        "link": lambda: os.symlink(target, inside),
        "make a folder": lambda: Path(target + "-folder").mkdir(),
        "run": lambda: subprocess.run(["ffmpeg", "-i", target], check=False),
        "shell": lambda: os.system("true"),
        "datagram": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)),
    }
    actions[what]()
    return "done"


@pytest.mark.parametrize("what", ["write inside", "read"])
def test_what_a_fetch_needs_works(guarded: KillableWorker, tmp_path: Path, what: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "theirs").write_bytes(b"theirs")
    assert guarded.run(_try, tmp_path / "mine", what, str(tmp_path / "theirs"), stall_seconds=20) == "done"


@pytest.mark.parametrize("what", [
    "write", "append", "move out", "remove", "cut", "open to all", "link", "make a folder", "run", "shell", "datagram"])
def test_what_a_fetch_does_not_need_does_not(guarded: KillableWorker, tmp_path: Path, what: str) -> None:
    (tmp_path / "mine").mkdir()
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"theirs")
    with pytest.raises(ForbiddenError):
        guarded.run(_try, tmp_path / "mine", what, str(theirs), stall_seconds=20)
    assert theirs.read_bytes() == b"theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "theirs"]
