"""Which network addresses a stranger's link may lead to."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ANY = "any"
"""The word that allows every address."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """A network that may be reached although it is not public; on one port, or on all."""

    network: Network
    port: int | None


def parse_allowed(text: str) -> AllowedHost:
    """Read `10.0.0.0/8`, `127.0.0.1:8000`, `[::1]:8000`, `::1` or `any`.

    Raises:
        ValueError: it is none of these.
    """
    if text == ANY:
        raise ValueError("'any' stands for all networks and is no network itself")
    host, port = text, None
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = _port(rest.removeprefix(":")) if rest else None
    elif text.count(":") == 1:
        host, _, rest = text.partition(":")
        port = _port(rest)
    return AllowedHost(ipaddress.ip_network(host, strict=False), port)


def may_reach(host: str, port: int, allowed: Sequence[str]) -> bool:
    """Whether a connection to an address may be made.

    Args:
        host: an address, never a name: what a name resolves to can change between two looks.
        port: the port.
        allowed: what `parse_allowed` reads, or `any`.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if ANY in allowed:
        return True
    inner = _inner(address)
    if _is_public(address) and _is_public(inner):
        return True
    rules = [parse_allowed(text) for text in allowed]
    return any(rule.port in (None, port) and inner in rule.network for rule in rules)


def _is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for: it may lead to a private one in disguise."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ValueError(f"{text!r} is no port")
    return int(text)
