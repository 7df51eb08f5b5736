"""Recognises addresses of this machine."""

from __future__ import annotations

import ipaddress


def loopback(host: str) -> bool:
    """Whether a host name or address is a loopback address. The only such name is ``localhost``."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
