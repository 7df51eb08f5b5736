"""Expirations are subscribed to where the server knows them, and nothing else depends on that."""

from __future__ import annotations

import pytest

from tests.contract.diagnostics.s3_notifications import ARN, configuration
from tests.contract.s3_server import Answer, made_up, refusal, store_at
from workers.diagnostics.s3_setup import inspect_bucket, set_up
from workers.stores.s3_notification import EXPIRED, WANTED, Entry, entries, merged, read

LISTING = b"<ListBucketResult><Name>photos</Name><IsTruncated>false</IsTruncated></ListBucketResult>"


@pytest.mark.parametrize("way", ["refuses", "drops"])
def test_a_server_that_does_not_know_expirations_is_set_up_without_them(way: str) -> None:
    kept = b""

    def answer(method: str, path: str) -> Answer:
        nonlocal kept
        if "?notification" in path:
            if method == "PUT" and EXPIRED.encode() in server.body and way == "refuses":
                return Answer(400, refusal("InvalidArgument", "A specified event is not supported"))
            if method == "PUT":
                kept = server.body.replace(f"<Event>{EXPIRED}</Event>".encode(), b"")
            return Answer(body=kept or configuration())
        return Answer(body=LISTING) if "list-type" in path or method == "HEAD" else Answer(404, refusal("NoSuchKey"))

    with made_up(answer) as server:
        store = store_at(server.url, "photos")
        for done in ("added", "no change needed"):
            *_, notification, expirations = set_up(store, "photos", Entry(ARN), {}, create=False)
            assert notification.ok
            assert notification.detail.endswith(done)
            assert expirations.ok is None
            assert EXPIRED in expirations.detail
        assert entries(read(store, "photos")) == [Entry(ARN)]


def test_expirations_are_added_to_an_entry_of_before() -> None:
    kept = merged(b"", Entry(ARN)) or b""

    def answer(method: str, path: str) -> Answer:
        nonlocal kept
        if "?notification" in path:
            kept = server.body if method == "PUT" else kept
            return Answer(body=kept)
        return Answer(body=LISTING) if "list-type" in path or method == "HEAD" else Answer(404, refusal("NoSuchKey"))

    with made_up(answer) as server:
        store = store_at(server.url, "photos")
        *_, last = set_up(store, "photos", Entry(ARN), {}, create=False)
        assert last.detail == "the server reports objects that expire; added"
        assert entries(read(store, "photos")) == [Entry(ARN, events=(*WANTED, EXPIRED))]
        assert "objects that expire" in [*inspect_bucket(store, "photos")][-1].detail
