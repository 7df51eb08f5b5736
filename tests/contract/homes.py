"""Libraries of each kind of home, to move captions between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
from qdrant_client import QdrantClient

from tests.contract import real_servers
from tests.contract.qdrant_cluster import addresses, cluster
from vectordb.captions import Caption
from vectordb.folder import FolderLibrary
from vectordb.index import Floats
from vectordb.library import ChangeableLibrary
from vectordb.server_client import connect
from vectordb.server_library import ServerLibrary

DIMENSION = 8
HOMES = ["folder", "server", *(["server-real"] if real_servers.QDRANT else [])]

# the library of a kind of home, at a place of that name
Homes = Callable[[str, str], ChangeableLibrary]


@contextmanager
def lent(folder: Path) -> Iterator[Homes]:
    """Homes whose files lie in folders below this one, called after their kind; collections go at the end.

    Besides those in ``HOMES`` there is ``cluster``: a server of three made-up nodes.
    """
    clients: dict[str, QdrantClient] = {}
    clustered: dict[str, QdrantClient] = {}  # they end with their made-up servers
    clusters = ExitStack()
    run = uuid4().hex[:8]

    def home(kind: str, place: str) -> ChangeableLibrary:
        if kind == "folder":
            return FolderLibrary(folder / kind / place)
        if kind == "server-real":
            client = clients.setdefault(kind, real_servers.qdrant())
        elif kind == "cluster":
            if place not in clustered:
                clustered[place] = connect(addresses(clusters.enter_context(cluster())), grpc=False)
                clusters.callback(clustered[place].close)
            client = clustered[place]
        else:
            client = clients.setdefault(place, connect(":memory:"))
        return ServerLibrary(client, folder / kind / place, prefix=f"{run}-{place}-")

    yield home
    for client in clients.values():
        for known in client.get_collections().collections:
            if known.name.startswith(run):
                client.delete_collection(known.name)
        client.close()
    clusters.close()


def vectors(captions: list[Caption]) -> Floats:
    """Unit vectors that follow from the texts alone."""
    rows = [np.random.default_rng(list(caption.text.encode())).normal(size=DIMENSION) for caption in captions]
    matrix = np.array(rows, dtype=np.float32).reshape(-1, DIMENSION)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix
