"""The addresses of a Qdrant server, or of the nodes of one cluster.

Light, since the settings are checked with it: no client is loaded.
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
    """No server's address, or a certificate file that cannot be read."""


@dataclass(frozen=True)
class Address:
    """One node: ``url`` has no final slash; ``grpc_port`` is 0 where everything goes by REST."""

    url: str
    grpc_port: int = GRPC_PORT

    @property
    def host(self) -> str:
        """The name or the number, an IPv6 one without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def rest(self) -> str:
        """The address of the REST API, always with a port."""
        parts = urlsplit(self.url)
        return self.url if parts.port else f"{parts.scheme}://{parts.netloc}:{REST_PORT}{parts.path}"

    @property
    def exposed(self) -> bool:
        """Whether others can read on the way what is sent there."""
        return self.url.startswith("http://") and self.host not in _LOOPBACK


def addresses(urls: str, grpc_ports: Sequence[int] = (GRPC_PORT,)) -> tuple[Address, ...]:
    """The addresses in a list that is separated by commas; blanks, empty entries and repetitions are dropped.

    ``grpc_ports``: one for all, or one for each. Raises ``BadAddress`` with a message that holds no secret.
    """
    words = [word for part in urls.split(",") if (word := part.strip())]
    if "@" in urls:  # a password may hold a comma, so no part of such a list is shown
        raise BadAddress("an address names a user; a key belongs into WILDTAG_QDRANT_API_KEY" + _LOOKS)
    if not words:
        raise BadAddress("no address of a Qdrant server is named" + _LOOKS)
    if len(grpc_ports) not in {1, len(words)}:
        counts = f"{len(grpc_ports)} gRPC ports are named for {len(words)} addresses"
        raise BadAddress(f"{counts}: name one, or one for each")
    ports = list(grpc_ports) * (len(words) if len(grpc_ports) == 1 else 1)
    found: dict[str, Address] = {}
    for word, port in zip(words, ports, strict=True):
        url = _checked(word)
        found.setdefault(url, Address(url, port))
    return tuple(found.values())


_LOOKS = "; one looks like http://localhost:6333"


def _checked(word: str) -> str:
    shown = repr(word.partition("?")[0].partition("#")[0])
    wrong = BadAddress(f"{shown} is no address of a Qdrant server{_LOOKS}")
    try:
        parts = urlsplit(word)
        port = parts.port
        host = parts.hostname or ""
        if "[" in parts.netloc:
            IPv6Address(host if _BRACKETED.fullmatch(parts.netloc) else "")
    except ValueError:  # of a port or an IPv6 address
        raise wrong from None
    if parts.scheme not in {"http", "https"} or port == 0 or parts.netloc.endswith(":"):
        raise wrong
    if "[" not in parts.netloc and not _NAME.fullmatch(host):
        raise wrong
    if parts.query or parts.fragment or word[-1] in "?#" or re.search(r"[\s\\]", word):
        raise wrong
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"
