"""Where one slot of a Redis Cluster is, and the URLs of clusters.

All keys of wildtag have one prefix with a hash tag, so they are in one slot, which one node serves at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.crc import key_slot
from redis.exceptions import ResponseError
from redis.retry import Retry

from vectordb.errors import Permanent
from workers.settings.cluster_urls import node_urls

LOCATE_S = 2.0  # for one node to say where the slot is

Node = tuple[str, int]
"""Host and port."""


class NotACluster(Permanent):
    """The server is no cluster, although its URL says so. The text says what to do."""


@dataclass(frozen=True)
class ClusterUrl:
    """Some nodes of a cluster, and what redis-py needs to connect to any node: user, password, options of TLS."""

    nodes: tuple[Node, ...]
    options: dict[str, Any]


def cluster_url(url: str) -> ClusterUrl:
    """Read the URL of a cluster. Raises ``ValueError``."""
    nodes = []
    for one in node_urls(url):
        options = dict(parse_url(one))  # type: ignore[no-untyped-call]  # redis-py's
        nodes.append((options.pop("host"), options.pop("port", 6379)))
        options.pop("db", None)
    return ClusterUrl(tuple(nodes), options)


class SlotOwner:
    """Knows which node serves the slot of a prefix, as the nodes say it.

    ``moves``: how often that has changed, as far as this process has noticed.
    """

    def __init__(self, url: ClusterUrl, prefix: str) -> None:
        self.slot = int(key_slot(prefix.encode("utf-8", "surrogateescape")))
        self.moves = 0
        self._options = url.options
        self._given = url.nodes
        self._nodes = list(url.nodes)
        self._known: Node | None = None
        self._last: Node | None = None

    def address(self) -> Node:
        """The node that serves the slot. Raises redis-py's ``ConnectionError``, and ``NotACluster``."""
        node = self._known or self._located()
        self.found(node)
        return node

    def found(self, node: Node) -> None:
        """A node has said that this one serves the slot."""
        if self._last is not None and node != self._last:
            self.moves += 1
        self._known = self._last = node

    def forget(self, node: Node) -> None:
        """This node does not answer: ask another one first where the slot is."""
        if self._known == node:
            self._known = None

    def plain(self, node: Node, timeout_s: float) -> redis.Redis:
        """A client for one node, which follows nothing and repeats nothing."""
        options = {name: value for name, value in self._options.items() if name != "connection_class"}
        return redis.Redis(
            host=node[0], port=node[1], socket_timeout=timeout_s, socket_connect_timeout=min(LOCATE_S, timeout_s),
            retry=Retry(NoBackoff(), 0), ssl="connection_class" in self._options, **options,
        )  # fmt: skip

    def _located(self) -> Node:
        fault: Exception | None = None
        # the node that served it last comes last: it may be the one that does not answer
        for node in sorted(dict.fromkeys([*self._nodes, *self._given]), key=lambda one: one == self._last):
            try:
                ranges = self._ranges(node)
            except (redis.ConnectionError, redis.TimeoutError) as exc:
                fault = exc
                continue
            self._nodes = [_address(server, node) for one in ranges for server in one[2:]]
            for first, last, primary, *_ in ranges:
                if first <= self.slot <= last:
                    return _address(primary, node)
        if fault is not None:
            raise redis.ConnectionError(
                f"no node of the cluster says who serves slot {self.slot}: {fault}"
            ) from fault
        raise redis.ConnectionError(f"no node of the cluster serves slot {self.slot}")

    def _ranges(self, node: Node) -> list[Any]:
        client = self.plain(node, LOCATE_S)
        try:
            ranges: Any = client.execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]  # redis-py's
        except ResponseError as exc:
            if "cluster support disabled" not in str(exc):
                raise
            raise NotACluster(
                f"the Redis at {node[0]}:{node[1]} is not a cluster: its URL begins with redis://, not redis+cluster://"
            ) from exc
        finally:
            client.close()
        return list(ranges)


def _address(server: list[Any], asked: Node) -> Node:
    """A node as another one names it. Without a name it has the host that was asked."""
    host = (server[0] or b"").decode()
    return (host if host not in {"", "?"} else asked[0]), int(server[1])
