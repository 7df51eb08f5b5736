"""Real servers that tests run against besides the made-up ones, where the environment names them.

=================================  ===================================================================================
variable                           for
=================================  ===================================================================================
``WILDTAG_TEST_S3_ENDPOINT``       an S3 server: every contract and acceptance test that a real one can pass
``WILDTAG_TEST_S3_ACCESS_KEY``,    its key pair, which may make buckets; when not given, ``AWS_…``, ``MINIO_…`` and
``WILDTAG_TEST_S3_SECRET_KEY``     ``~/.aws/credentials`` are looked at, as wildtag does
``WILDTAG_TEST_QDRANT_URL``        a Qdrant server: the contracts of caption indexes and libraries
``WILDTAG_TEST_QDRANT_API_KEY``    what it wants to be shown, if anything
=================================  ===================================================================================

The environment is read when this is imported, before a test changes it.
"""

from __future__ import annotations

import os

from qdrant_client import QdrantClient

from vectordb.server_client import connect
from workers.stores.s3_connection import FoundCredentials, S3Options

S3 = os.environ.get("WILDTAG_TEST_S3_ENDPOINT", "")
QDRANT = os.environ.get("WILDTAG_TEST_QDRANT_URL", "")
QDRANT_KEY = os.environ.get("WILDTAG_TEST_QDRANT_API_KEY") or None

S3_SERVERS = ["moto", *(["real"] if S3 else [])]


def _key_pair() -> tuple[str, str]:
    if not S3:
        return "", ""
    access_key, secret_key = (os.environ.get(f"WILDTAG_TEST_S3_{name}_KEY") for name in ("ACCESS", "SECRET"))
    found = FoundCredentials(S3Options(S3, S3, "us-east-1", access_key, secret_key)).retrieve()
    return found.access_key, found.secret_key


_S3_KEY_PAIR = _key_pair()


def key_pair(endpoint: str) -> tuple[str, str]:
    """What to show the S3 server at an address: moto takes anything."""
    return _S3_KEY_PAIR if S3 and endpoint == S3 else ("AKIATEST", "secret")


def qdrant() -> QdrantClient:
    """A client of the real Qdrant server."""
    return connect(QDRANT, api_key=QDRANT_KEY)
