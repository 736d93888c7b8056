"""The address of a Ray cluster: whether somebody is there, and how its nodes find this machine. No Ray is needed."""

import socket

_ANSWERS_WITHIN_S = 10.0


def host_and_port(address: str) -> tuple[str, int]:
    """The head of a cluster.

    Args:
        address: host:port.

    Raises:
        ValueError: it is something else.
    """
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise ValueError(f"--ray {address}: name the cluster's head as host:port")
    return host, int(port)


def fault_of_address(address: str) -> str | None:
    """Why no cluster can be used at an address; None where somebody answers."""
    try:
        with socket.create_connection(host_and_port(address), timeout=_ANSWERS_WITHIN_S):
            return None
    except ValueError as error:
        return str(error)
    except OSError as error:
        return f"--ray {address}: nobody answers there ({error.strerror or error})"


def own_address_towards(address: str) -> str:
    """The address of this machine on the way to a cluster, at which its nodes can reach it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(host_and_port(address))  # sends nothing
        return probe.getsockname()[0]
