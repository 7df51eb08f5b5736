"""The ports of the embedded stack, claimed before its processes listen on them."""

from __future__ import annotations

import socket

from vectordb.errors import Permanent
from workers.settings.variables import variable
from workers.supervision.temporary import claim


class PortInUse(Permanent):
    """A port that was chosen for a service of the stack is used by another process."""


def free_port(wanted: int, *, claim: bool = False) -> int:
    """This port of the loopback address if it is free, else any free port.

    ``claim``: reserve the port while this process lives, so that another stack that claims its ports does not take it
    before a server listens on it.
    """
    for port in (wanted, *[0] * 20):
        found = _free(port)
        if found is not None and (not claim or _claimed(found)):
            return found
    raise Permanent("no port of 127.0.0.1 is free; stop other programs and try again")


def required_port(port: int, setting: str) -> int:
    """Claim exactly this port of the loopback address, as ``free_port`` does. Raises ``PortInUse``."""
    if _free(port) is None or not _claimed(port):
        name = variable(setting)
        raise PortInUse(
            f"{name}: port {port} is in use. Stop the process that uses it, or set {name} to another port"
        )
    return port


def _free(port: int) -> int | None:
    """This port if it is free; for 0 any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return None
        return int(probe.getsockname()[1])


def _claimed(port: int) -> bool:
    """Whether this process holds the lock of the port. True if lock files cannot be created."""
    try:
        return claim(f"port-{port}")
    except OSError:
        return True
