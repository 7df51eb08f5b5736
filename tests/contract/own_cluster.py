"""A Redis Cluster on loopback, whose nodes a test may kill, and whose slots it may move."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot

from tests.eventually import eventually
from workers.embedded.ports import free_port
from workers.redis.server_program import choose_server

SLOTS = 16_384
PREFIX = "{test}:"
SLOT = int(key_slot(PREFIX.encode()))
PATIENCE_S = 30


class Node:
    """A node: a process that may be killed and started again."""

    def __init__(self, folder: Path, node_timeout_ms: int) -> None:
        self.port, self.bus = free_port(0, claim=True), free_port(0, claim=True)
        self._folder = folder / str(self.port)
        self._folder.mkdir()
        self._timeout_ms = node_timeout_ms
        self.process: subprocess.Popen[bytes] | None = None
        self.client: Any = redis.Redis(port=self.port)

    def start(self, *options: str) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(
            [choose_server().program.path, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._folder,
             "--cluster-enabled", "yes", "--cluster-port", str(self.bus), "--cluster-announce-ip", "127.0.0.1",
             "--cluster-node-timeout", str(self._timeout_ms), "--save", "", "--appendonly", "yes",
             "--appendfsync", "everysec", "--repl-diskless-sync-delay", "0", *options],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        eventually(self.client.ping, PATIENCE_S, every_s=0.02, despite=(redis.ConnectionError,))
        self.id = "" if options else self.told("MYID").decode()

    def kill(self) -> None:
        """End it without a farewell."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def told(self, *command: Any) -> Any:
        """Its answer to ``CLUSTER …``."""
        return self.client.execute_command("CLUSTER", *command)


class OwnCluster:
    """Three primaries with a third of the slots each, and on wish a replica of each."""

    def __init__(self, *, replicas: bool = False, node_timeout_ms: int = 1000) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="wt-", dir="/tmp"))
        self.primaries = [Node(self._folder, node_timeout_ms) for _ in range(3)]
        self.replicas = [Node(self._folder, node_timeout_ms) for _ in range(3 * replicas)]
        self.url = f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in self.primaries)}"

    @property
    def nodes(self) -> list[Node]:
        return [*self.primaries, *self.replicas]

    def start(self) -> None:
        """Start it and wait until all nodes know of each other and serve all slots."""
        for node in self.nodes:
            node.start()
        for n, node in enumerate(self.nodes):
            node.told("SET-CONFIG-EPOCH", n + 1)
        for n, node in enumerate(self.primaries):
            node.told("ADDSLOTSRANGE", n * SLOTS // 3, (n + 1) * SLOTS // 3 - 1)
        for node in self.nodes[1:]:
            self.primaries[0].client.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
        for primary, replica in zip(self.primaries, self.replicas, strict=False):
            eventually(lambda p=primary, r=replica: p.id in r.told("NODES").decode(), PATIENCE_S)  # type: ignore[misc]
            replica.told("REPLICATE", primary.id)
        self.settled()
        for replica in self.replicas:
            eventually(lambda r=replica: r.client.info("replication")["master_link_status"] == "up", PATIENCE_S)  # type: ignore[misc]

    def settled(self) -> None:
        """Wait until all living nodes serve all slots."""

        def known(node: Node) -> bool:
            said = node.told("INFO").decode()
            return "cluster_state:ok" in said and f"cluster_known_nodes:{len(self.nodes)}" in said

        for node in self.nodes:
            if node.process is not None:
                eventually(lambda n=node: known(n), PATIENCE_S)  # type: ignore[misc]

    def owner(self, slot: int = SLOT) -> Node:
        """The node that serves a slot, as the living ones say."""
        for node in self.nodes:
            if node.process is None:
                continue
            with suppress(redis.ConnectionError):
                for first, last, primary, *_ in node.told("SLOTS"):
                    if first <= slot <= last:
                        return next(one for one in self.nodes if one.port == primary[1])
        raise AssertionError(f"nobody serves slot {slot}")

    def another(self) -> Node:
        """A primary that does not serve the slot of the tests."""
        owner = self.owner()
        return next(node for node in self.primaries if node is not owner)

    def move(self, to: Node, slot: int = SLOT, at_once: int = 10) -> Iterator[int]:
        """Move a slot key by key, as ``redis-cli --cluster reshard`` does; gives the keys moved so far.

        Nothing is moved before the first step, and the new owner is announced after the last one.
        """
        source = self.owner(slot)
        to.told("SETSLOT", slot, "IMPORTING", source.id)
        source.told("SETSLOT", slot, "MIGRATING", to.id)
        moved = 0
        yield moved
        while names := source.told("GETKEYSINSLOT", slot, at_once):
            source.client.execute_command("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *names)
            moved += len(names)
            yield moved
        for node in (to, source, *self.nodes):
            if node in self.primaries or node is to or node is source:
                node.told("SETSLOT", slot, "NODE", to.id)

    def flush(self) -> None:
        """Remove all keys, and end a move that a test has left in the middle."""
        for node in self.primaries:
            node.told("SETSLOT", SLOT, "STABLE")
            node.client.flushall()

    def close(self) -> None:
        """End all nodes and forget what they held."""
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def own_cluster(*, replicas: bool = False) -> Iterator[OwnCluster]:
    """A cluster that runs meanwhile. ``replicas``: one for each node."""
    made = OwnCluster(replicas=replicas)
    try:
        made.start()
        yield made
    finally:
        made.close()
