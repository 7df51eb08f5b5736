"""Which ``Host`` a server of one machine answers to. Another name is that of a page that rebinds its DNS entry."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def served(header: str, own: str | None) -> bool:
    """Whether the value of a ``Host`` header is ``localhost``, an IP address, or the host name ``own``.

    An address cannot be rebound: a page can only have it as its origin by being served from it.
    """
    try:
        parts = urlsplit(f"//{header}")
        host, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return False
    if parts.path or parts.username is not None or not host:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or (own is not None and host == own.rstrip(".").lower())
    return True
