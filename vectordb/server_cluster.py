"""Several nodes of one Qdrant cluster behind one client, with failover.

**Which node.** The first of the list until it is unavailable, then the next one that is ready, and that one from then
on. There is no failback while the current node answers: every node serves all data, and a change takes time. A node
is unavailable if it cannot be reached, closes the connection, times out, or answers 5xx, 408 or 429.

**Readiness.** A newly chosen node must report by ``/readyz`` that it has caught up with the others. One that has just
restarted may not know all collections and aliases. The current node is not checked, which would double every call,
unless it lacks what it should have.

**A node that does not answer** must not cost the whole timeout. A call runs in its own thread. If it takes longer
than ``PATIENCE_S``, the node is probed. If the probe fails, the call is abandoned and made on another node. If it
succeeds, the node is busy and the call continues.

**Repetition.** ``NodeCall.anywhere`` is for calls that may be repeated: reads, and writes of points whose ids are
derived from their content. A plain call goes to one node, once.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from enum import Enum
from functools import cached_property
from typing import Any, TypeVar

import httpx
import structlog
from qdrant_client import QdrantClient

from vectordb.index import IndexMissing
from vectordb.proxies import httpx_options
from vectordb.server_addresses import Address
from vectordb.server_errors import ServerAway, translated

log = structlog.get_logger()

T = TypeVar("T")

PATIENCE_S = 2.0  # seconds without a response after which a node is probed
PROBE_S = 2.0  # timeout of the probe in seconds


class State(Enum):
    """The state that a node reports."""

    READY = "ready"
    UNREADY = "not ready"  # it answers, but has not caught up with the others
    AWAY = "away"


class Node:
    """One node, with its own client."""

    def __init__(
        self, address: Address, client: QdrantClient, api_key: str | None, trust: ssl.SSLContext | None
    ) -> None:
        """Opens no connection."""
        self.address = address
        self.client = client
        self.doubtful = False  # it was unavailable at the last call
        self._headers = {"api-key": api_key} if api_key else {}
        self._trust = trust

    def call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call a method of the client. Raises as ``translated``; ``ServerAway`` within seconds."""

        def call() -> Any:
            with translated():
                return getattr(self.client, name)(*args, **kwargs)

        answer = _aside(call)
        while not wait([answer], PATIENCE_S).done:
            if self.state() is State.AWAY and not answer.done():
                raise ServerAway(f"no answer from the Qdrant server at {self.address.url} for {PATIENCE_S:g} s")
        return answer.result()

    def state(self) -> State:
        """Probe the node; at most ``PROBE_S`` for each step of the connection."""
        try:
            status = self._probing.get(f"{self.address.rest}/readyz", headers=self._headers).status_code
        except (httpx.HTTPError, OSError):
            return State.AWAY
        # a node without this endpoint, or without access to it, counts as up
        return State.UNREADY if status >= 500 else State.READY

    def close(self) -> None:
        """Close the client."""
        self.client.close()

    @cached_property
    def _probing(self) -> httpx.Client:
        # a reused connection would hide that the node accepts no new ones
        fresh = httpx.Limits(max_keepalive_connections=0)
        return httpx.Client(timeout=PROBE_S, limits=fresh, **httpx_options(self.address.url, self._trust))


def _aside(call: Callable[[], T]) -> Future[T]:
    """Run a call in its own thread."""
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as exc:  # any error is raised in the thread that waits for the result
            answer.set_exception(exc)

    # a daemon: an abandoned call must not keep the process from ending
    threading.Thread(target=run, daemon=True, name="qdrant").start()
    return answer


class Cluster:
    """Acts as a ``QdrantClient``: each method is a ``NodeCall``, which chooses the node when it is called.

    Thread-safe. Like a client it must not be used before a fork.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        """Needs at least two nodes. Opens no connection."""
        self.init_options = nodes[0].client.init_options
        self.size = len(nodes)
        self._nodes = nodes
        self._current = nodes[0]

    def __getattr__(self, name: str) -> NodeCall:
        """A method of the client, to be called on any node that answers."""
        if name.startswith("_") or not callable(getattr(QdrantClient, name, None)):
            raise AttributeError(name)
        return NodeCall(self, name)

    def close(self) -> None:
        """Close the clients of all nodes."""
        for node in self._nodes:
            node.close()

    def candidates(self) -> Iterator[Node]:
        """The nodes to try, one after the other: ready ones first."""
        first, behind = self._current, list[Node]()
        if not first.doubtful:
            yield first
        place = self._nodes.index(first)
        others = [*self._nodes[place + 1 :], *self._nodes[:place], *([first] if first.doubtful else [])]
        # all at once: several unresponsive nodes would otherwise each take their time
        states = [_aside(node.state) for node in others]
        for node, state in zip(others, states, strict=True):
            match state.result():
                case State.READY:
                    yield node
                case State.UNREADY:
                    behind.append(node)
        yield from behind

    def ready(self) -> Node:
        """A node that has just reported to be ready, or at least answered. Raises ``ServerAway``."""
        if self._current.state() is not State.READY:
            self._current.doubtful = True
            for node in self.candidates():
                node.doubtful = False
                self.use(node, f"{self._current.address.url} is not ready")
                break
            else:
                raise self.away()
        return self._current

    def use(self, node: Node, reason: object) -> None:
        """Use this node from now on."""
        if node is not self._current:
            log.warning("qdrant node changed", left=self._current.address.url, at=node.address.url,
                        reason=str(reason))  # fmt: skip
            self._current = node

    def away(self) -> ServerAway:
        """The error if no node answers."""
        return ServerAway(f"none of the Qdrant nodes answers: {', '.join(n.address.url for n in self._nodes)}")


class NodeCall:
    """A method of a client whose node is chosen when it is called."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        """Used by ``Cluster``."""
        self._cluster = cluster
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call once, on a node that has just reported to be ready. After ``ServerAway`` it may have run or not."""
        return self._cluster.ready().call(self._name, args, kwargs)

    def anywhere(self, *args: Any, **kwargs: Any) -> Any:
        """Call on one node after the other until one answers; raises the last error if none does."""
        away: ServerAway | None = None
        lacking: list[IndexMissing] = []
        believed = False  # a ready node lacks it: it is missing unless another node has it
        for node in self._cluster.candidates():
            try:
                answer = node.call(self._name, args, kwargs)
            except ServerAway as exc:
                node.doubtful, away = True, exc
            except IndexMissing as exc:
                lacking.append(exc)
                if node.state() is State.READY:
                    believed = True
                else:
                    node.doubtful = True  # it may not know it yet
            else:
                self._chose(node, away or ("it has not caught up" if lacking else None))
                return answer
        if believed or len(lacking) == self._cluster.size:
            raise lacking[-1]
        # an unavailable node may have it, so it cannot be reported as missing
        raise away or self._cluster.away()

    def _chose(self, node: Node, reason: object) -> None:
        node.doubtful = False
        self._cluster.use(node, reason or "it was unavailable before")
