"""URLs of Redis Clusters, and prefixes whose keys are in one slot of a cluster."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

SCHEMES = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
"""The schemes of clusters, without and with TLS, and those of their nodes."""
HASH_TAG = re.compile(r"[^{]*\{[^}]+\}")  # what is between the first braces of a key decides on its slot
SUGGESTED = "{wildtag}:"


def names_cluster(url: str) -> bool:
    """Whether a URL names a Redis Cluster."""
    return url.partition("://")[0] in SCHEMES


def has_hash_tag(prefix: str) -> bool:
    """Whether all keys with this prefix are in one slot."""
    return HASH_TAG.match(prefix) is not None


def node_urls(url: str) -> list[str]:
    """The URLs of the nodes in ``redis+cluster://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…][?OPTIONS]``.

    Raises ``ValueError``.
    """
    # newer releases of Python refuse the address of IPv6 after a comma, so the URL of each node is parsed alone
    scheme, _, rest = url.partition("://")
    before, _, query = rest.partition("#")[0].partition("?")
    place, _, database = before.partition("/")
    if database.strip("/") not in {"", "0"}:
        raise ValueError("a Redis Cluster has the database 0 only: leave it out of the URL")
    access, at, hosts = place.rpartition("@")
    urls = [f"{SCHEMES[scheme]}://{access}{at}{host}?{query}" for host in hosts.split(",")]
    try:
        readable = all(urlsplit(one).hostname and (urlsplit(one).port or True) for one in urls)
    except ValueError:
        readable = False
    if not readable:
        raise ValueError("the URL of a Redis Cluster is redis+cluster://HOST:PORT, or several HOST:PORT with commas")
    return urls
