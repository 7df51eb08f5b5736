"""A made-up Qdrant server, a client of it, and a port where nobody listens."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from qdrant_client import QdrantClient

from tests.contract.qdrant_wire import Wire, collection, wire
from vectordb.options import IndexOptions
from vectordb.server_client import connect

OPTIONS = IndexOptions(m=24, ef_construct=99, ef=77, oversampling=3.0, shards=3, replicas=2)


QUERY = np.eye(4, dtype=np.float32)


@pytest.fixture
def server() -> Iterator[Wire]:
    with wire() as running:
        running.says("GET", "/collections/captions", collection(4))
        running.says("POST", "/points/count", {"count": 5})
        yield running


@pytest.fixture
def client(server: Wire) -> Iterator[QdrantClient]:
    client = connect(server.url, grpc=False)
    yield client
    client.close()
