"""What a process that fetches for strangers may do: the last look, at the moment it happens.

Python tells an audit hook of every connection, file and program before it is opened, whichever library asks.
Checks made earlier can be led astray, by a redirect, by a segment that a playlist names, by a name that resolves
elsewhere the second time; here the very address is known. A hook cannot be taken out again, so this is for
processes that do nothing else.
"""

import os
import resource
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.private_networks import may_reach

_MEMORY_BYTES = 2 << 30
"""The last net, for what unpacks to more than it seems."""
_SCHEMES = frozenset({"http", "https", "data"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_WRITING_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class ForbiddenError(OSError):
    """Something that a fetching process may not do. An OSError, so that libraries clean up after it."""


@dataclass
class Permissions:
    """What the job at hand may do, and what it tried besides."""

    folder: Path
    """The only place that may be written to."""
    allowed_hosts: Sequence[str] = ()
    """Addresses that may be reached although they are not public (`pipeline.private_networks`)."""
    proxy: str | None = None
    """The proxy that the user chose; it may stand at any address."""
    programs: frozenset[str] = frozenset()
    """Names of programs that may be run."""
    refused_addresses: list[str] = field(default_factory=list)
    """Forbidden addresses that were asked for, as host:port."""
    refused_schemes: list[str] = field(default_factory=list)
    """Forbidden kinds of address that were asked for."""


_permissions: Permissions | None = None
_proxy_addresses: set[tuple[str, int]] = set()
_installed = False


def guard(permissions: Permissions) -> None:
    """Hold this process to these permissions, and to 2 GB; a later call replaces them, nothing lifts them."""
    global _permissions, _installed
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    _proxy_addresses.clear()
    if permissions.proxy is not None:
        _proxy_addresses.update(_resolve(permissions.proxy))
    _permissions = permissions
    if not _installed:
        sys.addaudithook(_look)
        _installed = True


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    check = _CHECKS.get(event)
    if check is not None:
        check(_permissions, *arguments)


def _check_connection(permissions: Permissions, connection: Any, address: Any) -> None:
    """Before a connection is made, or a datagram sent, to an address."""
    if not isinstance(address, tuple) or len(address) < 2:
        raise ForbiddenError(f"a fetching process talks to no local socket ({address!r})")
    host, port = address[:2]
    if (host, port) in _proxy_addresses:
        return
    if not isinstance(host, str) or not isinstance(port, int) or not may_reach(host, port, permissions.allowed_hosts):
        _refuse(permissions, f"{host}:{port}")


def _check_request(permissions: Permissions, url: str, *_: Any) -> None:
    """Before urllib opens a URL, redirects included. Behind a proxy, this is where the target can be seen."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        permissions.refused_schemes.append(parts.scheme)
        raise ForbiddenError(f"{parts.scheme} addresses are not fetched")
    if permissions.proxy is None or parts.scheme == "data":
        return
    for host, port in _resolve(url):
        if not may_reach(host, port, permissions.allowed_hosts):
            _refuse(permissions, f"{host}:{port}")


def _check_open(permissions: Permissions, path: Any, mode: Any, flags: Any) -> None:
    if _writes(mode, flags):
        _check_place(permissions, path)


def _check_place(permissions: Permissions, path: Any, *_: Any) -> None:
    if isinstance(path, int):
        return  # it was looked at when it was opened
    place = os.path.realpath(os.fsdecode(path))
    if place != os.devnull and not Path(place).is_relative_to(os.path.realpath(permissions.folder)):
        raise ForbiddenError(f"a fetching process writes to its own folder only, not to {os.path.basename(place)!r}")


def _check_both_places(permissions: Permissions, old: Any, new: Any, *_: Any) -> None:
    _check_place(permissions, old)
    _check_place(permissions, new)


def _check_program(permissions: Permissions, program: Any, *_: Any) -> None:
    """FFmpeg above all opens whatever address a file names, out of sight of this hook: it is never run."""
    name = os.path.basename(os.fsdecode(program)) if program else ""
    if name not in permissions.programs:
        raise ForbiddenError(f"a fetching process may not run {name!r}")


def _forbid(permissions: Permissions, *_: Any) -> None:
    raise ForbiddenError("a fetching process may not do this")


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool(flags & _WRITING_FLAGS)


def _refuse(permissions: Permissions, what: str) -> None:
    permissions.refused_addresses.append(what)
    raise ForbiddenError(f"{what} is no public address; --allow-private-hosts allows it")


def _resolve(url: str) -> list[tuple[str, int]]:
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 1080)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        return []  # a name that only the proxy knows is no address that we can reach
    return [(place[4][0], place[4][1]) for place in found]


_CHECKS: dict[str, Callable[..., None]] = {
    "socket.connect": _check_connection,
    "socket.sendto": _check_connection,
    "socket.sendmsg": _check_connection,
    "urllib.Request": _check_request,
    "open": _check_open,
    "os.mkdir": _check_place,
    "os.remove": _check_place,
    "os.rmdir": _check_place,
    "os.truncate": _check_place,
    "os.chmod": _check_place,
    "os.chown": _check_place,
    "os.rename": _check_both_places,
    "os.link": _check_both_places,
    "os.symlink": _forbid,
    "subprocess.Popen": _check_program,
    "os.system": _forbid,
    "os.fork": _forbid,
    "os.forkpty": _forbid,
    "os.spawn": _forbid,
    "os.exec": _forbid,
    "os.posix_spawn": _forbid,
}
