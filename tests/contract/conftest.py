"""S3 servers for the contracts: always moto; a real one too where ``WILDTAG_TEST_S3_ENDPOINT`` names it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.contract.s3_server import moto, store_at
from workers.stores.s3 import S3Store

REAL = os.environ.get("WILDTAG_TEST_S3_ENDPOINT")
SERVERS = ["moto", *(["real"] if REAL else [])]


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """A moto server for this test run."""
    with moto() as url:
        yield url


@pytest.fixture
def make_s3(request: pytest.FixtureRequest, bucket: str) -> Iterator[Callable[[str], S3Store]]:
    """Makes stores with an empty bucket, on one of ``SERVERS``."""
    made: list[S3Store] = []

    def make(server: str) -> S3Store:
        if server == "moto":
            store = store_at(request.getfixturevalue("moto_url"), bucket)
        else:  # its credentials are found in the environment
            assert REAL is not None
            store = store_at(REAL, bucket, access_key=None, secret_key=None)
        store.connection.client.make_bucket(bucket)
        made.append(store)
        return store

    yield make
    for store in made:
        client = store.connection.client
        if store.exists(bucket):
            for found in client.list_objects(bucket, recursive=True, include_version=True):
                client.remove_object(bucket, str(found.object_name), found.version_id)
            client.remove_bucket(bucket)


@pytest.fixture(params=SERVERS)
def s3(request: pytest.FixtureRequest, make_s3: Callable[[str], S3Store]) -> S3Store:
    """A store with an empty bucket, on each server."""
    return make_s3(request.param)


@pytest.fixture
def bucket() -> str:
    """A name that no other test uses."""
    return f"wildtag-test-{uuid.uuid4().hex[:12]}"
