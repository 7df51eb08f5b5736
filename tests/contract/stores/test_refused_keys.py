"""Keys that the client or the server refuses: their records stay while the bucket lists them, and go with them."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest

from tasks.message_parts import ObjectRef, Revision
from tests.contract.s3_server import Answer, made_up, refusal, store_at
from tests.contract.sweeping import swept
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Error, Record
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.stores.lookup import look
from workers.stores.s3 import S3Store

KEYS = ["a/../b.jpg", ".", "..", "a/./c.jpg", "refused.jpg"]
REVISION = Revision("space", "captions@1")


class Bucket:
    """A made-up server that lists ``there``, and takes no request for an object."""

    there: set[str] = {*KEYS}  # noqa: RUF012 -- each test makes its own

    def answer(self, method: str, path: str) -> Answer:
        if "list-type" in path:
            asked = parse_qs(urlsplit(path).query)
            found = "".join(
                f"<Contents><Key>{escape(key)}</Key><ETag>e</ETag><Size>3</Size></Contents>"
                for key in sorted(self.there)
                if key.startswith(asked.get("prefix", [""])[0]) and key > asked.get("start-after", [""])[0]
            )
            inside = f"<Name>photos</Name><IsTruncated>false</IsTruncated>{found}"
            return Answer(body=f"<ListBucketResult>{inside}</ListBucketResult>".encode())
        if method == "HEAD":
            return Answer(400) if path.strip("/") != "photos" else Answer()
        return Answer(400, refusal("XMinioInvalidObjectName", "Object name contains unsupported characters."))


@pytest.fixture
def bucket() -> Bucket:
    made = Bucket()
    made.there = {*KEYS}
    return made


@pytest.fixture
def store(bucket: Bucket) -> Iterator[S3Store]:
    with made_up(bucket.answer) as server:
        yield store_at(server.url, "photos")


def test_the_listing_says_what_is_there(store: S3Store, bucket: Bucket) -> None:
    bucket.there = {"a/../b.jpg", "refused.jpg", "refused.jpg.bak"}
    found = look(store, [("photos", key) for key in KEYS])
    assert {key for (_, key), info in found.items() if info is not None} == {"a/../b.jpg", "refused.jpg"}


def test_a_sweep_removes_the_records_of_those_that_are_gone(
    store: S3Store, bucket: Bucket, client: Client, keys: Keys
) -> None:
    ledger, refs = Ledger(client, keys, 100), [ObjectRef("photos", key, "e") for key in KEYS]
    ledger.enter([Arrival(ref) for ref in refs], REVISION, 1.0, 60.0)
    failed = [
        Record(
            bucket=ref.bucket, key=ref.key, etag="e", state="failed", error=Error("forbidden", "no"),
            space_id=REVISION.space_id, captions_version=REVISION.captions_version,
        )
        for ref in refs
    ]  # fmt: skip
    ledger.finish(failed, 2.0)
    assert swept(store, "photos", client, keys).gone == 0
    bucket.there = {"a/./c.jpg"}
    assert swept(store, "photos", client, keys).gone == 4
    assert Records(client, keys).count_in("photos") == 5  # until the dispatcher has handled the events
