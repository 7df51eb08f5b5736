"""Servers for the contracts.

S3: always moto; a real one too where it is named (``tests.contract.real_servers``). Redis Cluster: three nodes of a
test run.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from ops.bench.moto_server import moto
from tests.contract import real_servers
from tests.contract.own_cluster import OwnCluster
from tests.contract.s3_server import store_at
from workers.stores.s3 import S3Store


@pytest.fixture(scope="session")
def cluster() -> Iterator[OwnCluster]:
    """Three nodes, all of which live; a test may move slots."""
    made = OwnCluster()
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """A moto server for this test run."""
    with moto() as url:
        yield url


@pytest.fixture(params=real_servers.S3_SERVERS)
def s3_url(request: pytest.FixtureRequest) -> str:
    """The address of each server."""
    return real_servers.S3 if request.param == "real" else str(request.getfixturevalue("moto_url"))


@pytest.fixture
def make_s3(request: pytest.FixtureRequest, bucket: str) -> Iterator[Callable[[str], S3Store]]:
    """Makes stores with an empty bucket, on one of ``S3_SERVERS``."""
    made: list[S3Store] = []

    def make(server: str) -> S3Store:
        store = store_at(real_servers.S3 if server == "real" else request.getfixturevalue("moto_url"), bucket)
        store.connection.client.make_bucket(bucket)
        made.append(store)
        return store

    yield make
    for store in made:
        drop(store, bucket)


@pytest.fixture
def dropped(s3_url: str, bucket: str) -> Iterator[None]:
    """Afterwards the bucket that a test has made is not there."""
    yield
    drop(store_at(s3_url), bucket)


def drop(store: S3Store, bucket: str) -> None:
    """Remove a bucket with all versions of all that is in it, if it is there."""
    client = store.connection.client
    if store.exists(bucket):
        for found in client.list_objects(bucket, recursive=True, include_version=True):
            client.remove_object(bucket, str(found.object_name), found.version_id)
        client.remove_bucket(bucket)


@pytest.fixture(params=real_servers.S3_SERVERS)
def s3(request: pytest.FixtureRequest, make_s3: Callable[[str], S3Store]) -> S3Store:
    """A store with an empty bucket, on each server."""
    return make_s3(request.param)


@pytest.fixture
def bucket() -> str:
    """A name that no other test uses."""
    return f"wildtag-test-{uuid.uuid4().hex[:12]}"
