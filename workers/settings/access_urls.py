"""URLs that contain a user and a password: how they are written, and messages that show no part of them.

Libraries read a URL with unencoded characters each in its own way: one takes another host, one another password, and
one raises an error that shows a part of it. So such a URL is refused before any of them sees it.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

ENCODE = (
    "the URL cannot be read: in the user, the password and the virtual host, write special characters as %XX, such as"
    " %2F for / and %40 for @"
)
_ENCODED = r"(?:[A-Za-z0-9._~!$&'()*+,=-]|%[0-9A-Fa-f]{2})*"  # of RFC 3986, without ; which separates brokers' URLs
_ACCESS = re.compile(rf"(?:{_ENCODED}(?::{_ENCODED})?@)?")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+(?:%[\w.]+)?\]|[\w.-]*)(?::[0-9]{1,5})?")
_NODE = re.compile(r"[^\s/?#@]*")  # who reads the addresses of a cluster says more
_QUERY = re.compile(r"[A-Za-z0-9_]+=[^@#?\s]*(?:&[A-Za-z0-9_]+=[^@#?\s]*)*")
_DATABASE = re.compile(r"/?[0-9]*/?")
_VIRTUAL_HOST = re.compile(rf"(?:/{_ENCODED})?")
_INVISIBLE = re.compile(r"[\x00-\x20\x7f-\xa0]")
_HEADER = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
SOCKETS = frozenset({"unix", "redis+socket"})
HIGHEST_PORT = 65_535


def require_encoded(url: str) -> None:
    """Raise ``ValueError``, whose text contains no part of the URL, unless every library reads it in the same way."""
    scheme, mark, rest = url.partition("://")
    try:
        parts = urlsplit(url)
        in_order = (
            bool(mark)
            and not _INVISIBLE.search(url)
            and "#" not in rest
            and (not parts.query or _QUERY.fullmatch(parts.query) is not None)
        )
    except ValueError:  # its text shows a part of the URL
        in_order = False
    if in_order:
        access, at, place = parts.netloc.rpartition("@")
        in_order = _ACCESS.fullmatch(access + at) is not None and (
            _socket(place, parts.path) if scheme in SOCKETS else _server(scheme, place, parts.path)
        )
    if not in_order:
        raise ValueError(ENCODE)


_TLS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"})
_NUMBERS = {
    "db": int, "virtual_host": int, "socket_timeout": float, "socket_connect_timeout": float,
    "health_check_interval": int, "max_connections": int, "protocol": int,
}  # fmt: skip
_CLIENT = frozenset({*_NUMBERS, "socket_keepalive", "retry_on_timeout", "client_name"}) - {"virtual_host"}


def require_parameters(url: str, *, broker: bool) -> None:
    """Raise ``ValueError``, without a part of the URL, if Redis's client does not take what follows ``?``.

    ``broker``: the URL is also that of Celery's client, which takes those of TLS only.
    """
    scheme = url.partition("://")[0]
    given = parse_qs(urlsplit(url).query, keep_blank_values=True)
    if given.keys() & {"password", "username"}:
        raise ValueError("user and password stand before the host, with a colon between them and @ after them")
    plain = {"unix": {"db"}, "redis+socket": {"virtual_host"}}.get(scheme, set())
    known = (_TLS if scheme == "rediss" else frozenset()) | plain | (frozenset() if broker else _CLIENT)
    if wrong := sorted(given.keys() - known):
        names = ", ".join(sorted(known)) or "none"
        what = ", ".join(name for name in wrong if name in _TLS | _CLIENT) or "a parameter"
        raise ValueError(f"{what} after ? has no meaning in a URL of this kind; possible are: {names}")
    for name, values in given.items():
        try:
            _NUMBERS.get(name, str)(values[0])
        except ValueError:
            raise ValueError(f"the parameter {name} is no number") from None


def _socket(place: str, path: str) -> bool:
    """Whether this is the path of a socket. What precedes it ends with ``@``, or is nothing."""
    return not place and path.startswith("/")


def _server(scheme: str, place: str, path: str) -> bool:
    """Whether these are a host with its port, or several, and a database or a virtual host."""
    cluster = scheme.endswith("+cluster")
    hosts = place.split(",") if cluster else [place]
    ports = [int(found[1]) for one in hosts if (found := re.search(r":([0-9]+)$", one))]
    after = _VIRTUAL_HOST if scheme.startswith("amqp") else _DATABASE
    return (
        all((_NODE if cluster else _HOST).fullmatch(one) for one in hosts)
        and all(port <= HIGHEST_PORT for port in ports)
        and after.fullmatch(path) is not None
    )


def require_sendable(key: str) -> None:
    """Raise ``ValueError``, without a part of the key, if it cannot be sent in a header of HTTP."""
    if not _HEADER.fullmatch(key):
        raise ValueError(
            "it has a character that no header of HTTP can carry, such as a line break, an accent or a space at its"
            " end: copy the key again"
        )


def require_port(url: str) -> None:
    """Raise ``ValueError``, without a part of the URL, if its port is none, or if it cannot be read."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise ValueError("the URL cannot be read: its host or its port is not valid") from None
