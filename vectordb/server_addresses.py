"""The URLs of a Qdrant server, or of the nodes of one cluster.

Imports no client, because the settings are validated with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import urlsplit

from vectordb.errors import Permanent

REST_PORT = 6333
GRPC_PORT = 6334
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_NAME = re.compile(r"[\w.-]+")
_BRACKETED = re.compile(r"\[[^\[\]]+\](?::\d+)?")


class BadAddress(Permanent):
    """An invalid server URL, or a certificate file that cannot be read."""


@dataclass(frozen=True)
class Address:
    """One node: ``url`` has no final slash; ``grpc_port`` is 0 if only REST is used."""

    url: str
    grpc_port: int = GRPC_PORT

    @property
    def host(self) -> str:
        """The host name or IP address; IPv6 without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def rest(self) -> str:
        """The URL of the REST API, always with a port."""
        parts = urlsplit(self.url)
        return self.url if parts.port else f"{parts.scheme}://{parts.netloc}:{REST_PORT}{parts.path}"

    @property
    def exposed(self) -> bool:
        """Whether data sent there travels unencrypted to another machine."""
        return self.url.startswith("http://") and self.host not in _LOOPBACK


def addresses(urls: str, grpc_ports: Sequence[int] = (GRPC_PORT,)) -> tuple[Address, ...]:
    """Parse a comma-separated list of URLs; drops spaces, empty entries and duplicates.

    ``grpc_ports``: one for all, or one for each. Raises ``BadAddress``, whose message contains no secret.
    """
    words = [word for part in urls.split(",") if (word := part.strip())]
    if "@" in urls:  # a password may contain a comma, so no part of such a list is shown
        raise BadAddress(
            "a Qdrant URL must not contain a user name; set the key with WILDTAG_QDRANT_API_KEY" + _LOOKS
        )
    if not words:
        raise BadAddress("there is no URL of a Qdrant server" + _LOOKS)
    if len(grpc_ports) not in {1, len(words)}:
        counts = f"there are {len(grpc_ports)} gRPC ports for {len(words)} URLs"
        raise BadAddress(f"{counts}: give one port, or one for each")
    ports = list(grpc_ports) * (len(words) if len(grpc_ports) == 1 else 1)
    found: dict[str, Address] = {}
    for word, port in zip(words, ports, strict=True):
        url = _checked(word)
        found.setdefault(url, Address(url, port))
    return tuple(found.values())


_LOOKS = "; an example is http://localhost:6333"


def _checked(word: str) -> str:
    shown = repr(word.partition("?")[0].partition("#")[0])
    wrong = BadAddress(f"{shown} is not a valid URL of a Qdrant server{_LOOKS}")
    try:
        parts = urlsplit(word)
        port = parts.port
        host = parts.hostname or ""
        if "[" in parts.netloc:
            IPv6Address(host if _BRACKETED.fullmatch(parts.netloc) else "")
    except ValueError:  # an invalid port or IPv6 address
        raise wrong from None
    if parts.scheme not in {"http", "https"} or port == 0 or parts.netloc.endswith(":"):
        raise wrong
    if "[" not in parts.netloc and not _NAME.fullmatch(host):
        raise wrong
    if parts.query or parts.fragment or word[-1] in "?#" or re.search(r"[\s\\]", word):
        raise wrong
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"
