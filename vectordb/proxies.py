"""Proxies of the environment: this machine is never asked through one, and an unusable one is named.

httpx reads the variables that programs share, ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in
capitals and in small letters, when a client is made, whatever it is for. It fails with the first one that it cannot
use.
"""

from __future__ import annotations

import os
import ssl
import urllib.request
from collections.abc import Mapping
from functools import cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx

from vectordb.errors import Permanent

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens URLs of this machine, without any proxy; ``urllib.request.urlopen`` would ask one."""
SCHEMES = ("http", "https", "socks5", "socks5h")


class UnusableProxy(Permanent):
    """A variable of the environment names a proxy that cannot be used."""


def this_machine(host: str) -> bool:
    """Whether a host name or address of a URL is this machine: loopback, ``localhost`` and the names below it."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def httpx_options(url: str, verify: ssl.SSLContext | None = None) -> dict[str, Any]:
    """The arguments by which ``httpx.Client`` treats the proxies of the environment as it should for this URL.

    ``verify``: the certificates to trust, otherwise those of the environment. Raises ``UnusableProxy``.
    """
    if not this_machine(urlsplit(url).hostname or ""):
        require_usable()
        return {} if verify is None else {"verify": verify}
    # without the environment httpx would not read SSL_CERT_FILE either
    tls = _trusted() if verify is None and url.startswith("https:") else verify
    return {"trust_env": False} | ({} if tls is None else {"verify": tls})


def require_usable(environment: Mapping[str, str] = os.environ) -> None:
    """Raises ``UnusableProxy`` if a variable names a proxy that cannot be used. Connects to none."""
    for name in NAMES:
        for spelling in (name.lower(), name):
            fault = _fault(environment.get(spelling, ""))
            if fault is not None:
                raise UnusableProxy(
                    f"the environment variable {spelling} names no proxy that can be used: {fault}. Expected"
                    " http://HOST:PORT or socks5://HOST:PORT; unset it to use none"
                )
    for spelling in ("no_proxy", "NO_PROXY"):
        for word in environment.get(spelling, "").split(","):
            if not _matches(word.strip()):
                raise UnusableProxy(
                    f"the environment variable {spelling} has {word.strip()[:100]!r}, which is no host name, no"
                    " address and no network of IPv4; an address of IPv6 has no brackets there"
                )


def _fault(value: str) -> str | None:
    """Why a proxy cannot be used, without its password; ``None`` if it can."""
    if not value.strip():
        return None
    url = value.strip() if "://" in value else f"http://{value.strip()}"
    scheme, _, rest = url.partition("://")
    shown = f"{scheme}://{rest.rpartition('@')[2]}"[:200]
    if scheme.lower() not in SCHEMES:
        return f"{shown!r} has the scheme {scheme!r}"
    try:
        parsed = httpx.URL(url)
        httpx.Proxy(parsed)
    except (httpx.InvalidURL, ValueError, UnicodeError):
        return f"{shown!r} is not a URL with a host and a port"
    if not parsed.host or parsed.port == 0 or (parsed.port or 1) > 65535:
        return f"{shown!r} is not a URL with a host and a port"
    return None


def _matches(word: str) -> bool:
    """Whether httpx can read a word of ``NO_PROXY``, of which it makes a pattern for URLs."""
    if not word or word == "*":
        return True
    pattern = word if "://" in word else f"all://*{word}"
    try:
        address = ip_address(word.partition("/")[0])
        pattern = f"all://{word}" if address.version == 4 else f"all://[{word}]"
    except ValueError:  # a name
        pass
    try:
        httpx.URL(pattern)
    except (httpx.InvalidURL, ValueError):
        return False
    return True


@cache
def _trusted() -> ssl.SSLContext:
    return httpx.create_ssl_context()
