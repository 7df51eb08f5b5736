"""Samples written from MinIO's source (``tests/data/events``): every one gives what it must give."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.events.notification import Notification, access_entry, listen_line, namespace_value, webhook
from workers.lifecycle.event import ObjectEvent

FOLDER = Path(__file__).parents[2] / "data" / "events"
BUCKET = "images"
ETAG = "9b2cf535f27731c974343645a3985328"
ORDER = "17c0f2b1a4e3d201".ljust(32, "0")


def created(
    key: str, *other_keys: str, etag: str = ETAG, size: int = 48213, version: str | None = None
) -> Notification:
    return Notification((ObjectEvent("created", BUCKET, key, etag, size, version, ORDER, other_keys=other_keys),))


def removed(key: str, version: str | None = None) -> Notification:
    return Notification((ObjectEvent("removed", BUCKET, key, version_id=version, sequence=ORDER),))


EXPECTED = {
    "listen-keepalive": Notification(),
    "listen-put": created("été 2026/a+b.jpg", "été 2026/a b.jpg"),
    "redis-access": created("inbox/cat.jpg", "inbox%2Fcat.jpg"),
    "redis-namespace-value": created("inbox/cat.jpg", "inbox%2Fcat.jpg"),
    "webhook-copy-versioned": created("copy.png", size=1024, version="8a1b6c4e-2f59-4c3b-9d7a-0e1f2a3b4c5d"),
    "webhook-delete-marker": removed("inbox/cat.jpg", "0d2f6c4e-2f59-4c3b-9d7a-0e1f2a3b4c5d"),
    "webhook-empty-object": created("empty.jpg", etag="d41d8cd98f00b204e9800998ecf8427e", size=0),
    "webhook-key-plus-in-top-level": created("my cat.jpg", "my+cat.jpg"),
    "webhook-multipart": created("raw/huge.tiff", etag=f"{ETAG}-5", size=73400320),
    "webhook-put": created("inbox/cat.jpg"),
    "webhook-put-tagging": Notification(ignored=("PutTagging",)),
    "webhook-put-unicode-plus": created("été 2026/a+b c&d=é.jpg"),
    "webhook-removed": removed("inbox/cat.jpg"),
    "webhook-removed-missing": Notification(ignored=("NoOP",)),
}
READERS = {
    "listen": listen_line,
    "redis-access": access_entry,
    "redis-namespace": namespace_value,
    "webhook": webhook,
}


def test_there_is_no_sample_that_nobody_looks_at() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_gives_what_it_must(name: str) -> None:
    (read,) = (reader for start, reader in READERS.items() if name.startswith(start))
    assert read((FOLDER / f"{name}.json").read_bytes(), BUCKET) == EXPECTED[name]
