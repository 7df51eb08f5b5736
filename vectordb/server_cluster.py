"""Several nodes of one Qdrant cluster behind one client: where a node is away, the next one is asked.

**Which node.** The first one of the list, until it is away; then the next that says that it is ready, and that one
from then on. Nobody goes back to an earlier node while the present one answers: every node serves everything, and a
change costs a wait. A node is away when it cannot be reached, breaks off, answers too late, or with 5xx, 408 or 429.

**Who is asked whether it is ready.** A node that is turned to says by ``/readyz`` whether it has caught up with the
others, so that one which has just come back is not believed about collections and aliases that it has not heard of.
The node in use is not asked, which would double every call; only where it lacks what it should have.

**A node that swallows requests** must not cost the whole timeout. So a call is made in a thread of its own, and where
it takes longer than ``PATIENCE_S`` the node is asked whether it is there at all. If it is not, the call is left to
its timeout and made elsewhere. A node that is there, and busy, is waited for.

**What comes twice.** ``NodeCall.anywhere`` is for what may: reads, and writes of points under ids that follow from
what they hold. A plain call goes to one node, once.
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
from vectordb.server_addresses import Address
from vectordb.server_errors import ServerAway, translated

log = structlog.get_logger()

T = TypeVar("T")

PATIENCE_S = 2.0  # after which a node that has not answered is asked whether it is there
PROBE_S = 2.0  # that it has to say so


class State(Enum):
    """What a node says of itself."""

    READY = "ready"
    UNREADY = "not ready"  # it answers, and has not caught up with the others
    AWAY = "away"


class Node:
    """One node, with a client of its own."""

    def __init__(
        self, address: Address, client: QdrantClient, api_key: str | None, trust: ssl.SSLContext | None
    ) -> None:
        """Opens no connection."""
        self.address = address
        self.client = client
        self.doubtful = False  # it was away when it was last asked
        self._headers = {"api-key": api_key} if api_key else {}
        self._trust = trust

    def call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What a method of the client answers. Raises as ``translated``; ``ServerAway`` within seconds."""

        def call() -> Any:
            with translated():
                return getattr(self.client, name)(*args, **kwargs)

        answer = _aside(call)
        while not wait([answer], PATIENCE_S).done:
            if self.state() is State.AWAY and not answer.done():
                raise ServerAway(f"no answer from the Qdrant server at {self.address.url} for {PATIENCE_S:g} s")
        return answer.result()

    def state(self) -> State:
        """Ask the node; ``PROBE_S`` at the most for each step of the way there and back."""
        try:
            status = self._probing.get(f"{self.address.rest}/readyz", headers=self._headers).status_code
        except (httpx.HTTPError, OSError):
            return State.AWAY
        # what has no such page, or shows it to nobody, is up all the same
        return State.UNREADY if status >= 500 else State.READY

    def close(self) -> None:
        """Close the client."""
        self.client.close()

    @cached_property
    def _probing(self) -> httpx.Client:
        # a connection that lies about would hide that nobody takes new ones
        fresh = httpx.Limits(max_keepalive_connections=0)
        return httpx.Client(timeout=PROBE_S, limits=fresh, verify=self._trust or True)


def _aside(call: Callable[[], T]) -> Future[T]:
    """Call it in a thread of its own."""
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as exc:  # whatever it is, who asks for the answer raises it
            answer.set_exception(exc)

    # a daemon: one that is left behind must not keep the process from ending
    threading.Thread(target=run, daemon=True, name="qdrant").start()
    return answer


class Cluster:
    """Looks like a ``QdrantClient``: each of its methods is a ``NodeCall``, whose node is chosen when it is called.

    May be used from several threads. Like a client it must not be used before a fork.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        """Two nodes or more. Opens no connection."""
        self.init_options = nodes[0].client.init_options
        self.size = len(nodes)
        self._nodes = nodes
        self._current = nodes[0]

    def __getattr__(self, name: str) -> NodeCall:
        """A method of the client, to be called on whichever node answers."""
        if name.startswith("_") or not callable(getattr(QdrantClient, name, None)):
            raise AttributeError(name)
        return NodeCall(self, name)

    def close(self) -> None:
        """Close the clients of all nodes."""
        for node in self._nodes:
            node.close()

    def candidates(self) -> Iterator[Node]:
        """The nodes to be asked, one after the other, until one answers: those that are ready first."""
        first, behind = self._current, list[Node]()
        if not first.doubtful:
            yield first
        place = self._nodes.index(first)
        others = [*self._nodes[place + 1 :], *self._nodes[:place], *([first] if first.doubtful else [])]
        # all at once: of several that swallow requests each would take its time
        states = [_aside(node.state) for node in others]
        for node, state in zip(others, states, strict=True):
            match state.result():
                case State.READY:
                    yield node
                case State.UNREADY:
                    behind.append(node)
        yield from behind

    def ready(self) -> Node:
        """A node that has just said that it is ready, or at least answered. Raises ``ServerAway``."""
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
        """Begin with this one from now on."""
        if node is not self._current:
            log.warning("qdrant goes on at another node", left=self._current.address.url, at=node.address.url,
                        reason=str(reason))  # fmt: skip
            self._current = node

    def away(self) -> ServerAway:
        """What to raise where nobody answers."""
        return ServerAway(f"none of the nodes of Qdrant answers: {', '.join(n.address.url for n in self._nodes)}")


class NodeCall:
    """A method of a client, of which the node is still to be chosen."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        """For ``Cluster``."""
        self._cluster = cluster
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Once, on a node that has just said that it is ready. ``ServerAway`` leaves open whether it was done."""
        return self._cluster.ready().call(self._name, args, kwargs)

    def anywhere(self, *args: Any, **kwargs: Any) -> Any:
        """On one node after the other, until one answers; raises what the last one that was away raised."""
        away: ServerAway | None = None
        lacking: list[IndexMissing] = []
        believed = False  # a node that is ready lacks it: so it is missing, unless another one has it
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
                    node.doubtful = True  # it may not have heard of it yet
            else:
                self._chose(node, away or ("it has not caught up" if lacking else None))
                return answer
        if believed or len(lacking) == self._cluster.size:
            raise lacking[-1]
        # one that may know better is away: nobody can say that there is no such thing
        raise away or self._cluster.away()

    def _chose(self, node: Node, reason: object) -> None:
        node.doubtful = False
        self._cluster.use(node, reason or "it was away before")
