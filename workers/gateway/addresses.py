"""Network addresses: which of them can only mean this machine."""

from __future__ import annotations

import ipaddress


def loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine. Names may lead anywhere, ``localhost`` excepted."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
