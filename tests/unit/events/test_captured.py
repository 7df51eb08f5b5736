"""Bodies taken from a running MinIO (``tests/data/events/captured``): each gives exactly its events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from workers.events.notification import Notification, access_entry, namespace_value, padded, webhook
from workers.lifecycle.event import ObjectEvent

FOLDER = Path(__file__).parents[2] / "data" / "events" / "captured"
BUCKET = "inbox"
READERS: dict[str, Callable[[bytes, str], Notification]] = {
    "redis-access": access_entry,
    "redis-namespace": namespace_value,
    "webhook": webhook,
}

CAT = "f24210802e8d0690e0c1c2302f907cc4"
DOG = "511130d2072cc744a1fa5015bc23557a"
TREE = "0f1b4a59504988622035d850dc0555ac"


def created(
    key: str, etag: str, size: int, sequencer: str, version: str | None = None, other_keys: tuple[str, ...] = ()
) -> Notification:
    order = padded(sequencer)
    event = ObjectEvent("created", BUCKET, key, etag, size, version, order, other_keys=other_keys)
    return Notification((event,))


def removed(key: str, sequencer: str, version: str | None = None) -> Notification:
    return Notification((ObjectEvent("removed", BUCKET, key, version_id=version, sequence=padded(sequencer)),))


def ignored(reason: str) -> Notification:
    return Notification(ignored=(reason,))


EXPECTED = {
    # nothing there confirms how the key is written
    "redis-access": created("listen/1.png", TREE, 240512, "18EC3EBAE32B80E7", None, ("listen%2F1.png",)),
    "redis-namespace-value": created(
        "kill/0105.jpg", "1a8647962a5601f40edcf56e35cda657", 26535, "18EC3F243BA381DF",
        "ed578189-d334-421d-bf08-8ed671d150fd", ("kill%2F0105.jpg",),
    ),
    "webhook-accessed-get": ignored("ObjectAccessed"),
    "webhook-accessed-head": ignored("ObjectAccessed"),
    "webhook-complete-multipart": created(
        "rclone/streamed.png", "270a3c01bf9067850ba9967eef97ac9e-1", 240512, "18EC3EAA09516AD3"
    ),
    "webhook-complete-multipart-versioned": created(
        "more/big.png", "b08862228958af2e2f4f0648155adda8-5", 40_000_000, "18EC3F6778E809AF",
        "d461f3e9-9aed-408a-b76e-dd340415fef2",
    ),
    "webhook-copy-emoji": created("aws/moved 🚀.jpg", DOG, 112525, "18EC3EA28A5A2204"),
    "webhook-post-form": created(
        "more/posted.png", CAT, 466706, "18EC3F67CB2F7913", "4c01eed4-8a77-4c88-8b65-dd4831d3a0f7"
    ),
    "webhook-put-accent-and-percent": created("aws/café é 100%.png", CAT, 466706, "18EC3EA0F26012C4"),
    "webhook-put-backslash": created("aws/back\\slash.jpg", DOG, 112525, "18EC3EA1FF457424"),
    "webhook-put-empty": created(
        "more/empty.png", "d41d8cd98f00b204e9800998ecf8427e", 0, "18EC3F66F36560D7",
        "c658c406-df61-4cea-9a0b-715e76e350dc",
    ),
    "webhook-put-folder-marker": Notification(
        removed("more/folder/", "18EC3F66D1181145").events, ignored=("folder-marker",)
    ),
    "webhook-put-hash-question": created("aws/hash#frag?query&x=y;z.jpg", DOG, 112525, "18EC3EA18C8A7407"),
    "webhook-put-looks-escaped": created("aws/%41%2F%zz.jpg", DOG, 112525, "18EC3EA1CE146918"),
    "webhook-put-newline": created("aws/new\nline.jpg", DOG, 112525, "18EC3EA2466EF23B"),
    "webhook-put-plus-and-blank": created("aws/a cat + more.png", TREE, 240512, "18EC3EA0D066C44F"),
    "webhook-put-tab": created("aws/tab\ttab.jpg", DOG, 112525, "18EC3EA22478434D"),
    "webhook-put-tagging": ignored("PutTagging"),
    "webhook-put-versioned": created(
        "more/tagged.png", CAT, 466706, "18EC3F6648775288", "be1ddfe2-e42b-42e7-9d61-58fa787b9d67"
    ),
    "webhook-removed": removed("aws/Ünïcödé/日本語/🚀.jpg", "18EC3EA28ADA96AA"),
    "webhook-removed-delete-marker": removed(
        "more/tagged.png", "18EC3F673E419289", "db2c2041-5731-4836-9308-7f6dd6c90675"
    ),
    "webhook-removed-noop": ignored("NoOP"),
    "webhook-removed-version": removed("ver/a.png", "18EC3EFADB0989F5", "f64fd0d5-ab86-4931-9b3a-9a9536ac3aba"),
}  # fmt: skip


def test_every_body_is_looked_at() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_body_gives_what_it_tells_of(name: str) -> None:
    (read,) = (reader for start, reader in READERS.items() if name.startswith(start))
    body = (FOLDER / f"{name}.json").read_bytes()
    assert read(body, BUCKET) == EXPECTED[name]
    assert read(body, "another-bucket").events == ()


def test_the_field_of_the_hash_confirms_the_key() -> None:
    body = (FOLDER / "redis-namespace-value.json").read_bytes()
    (event,) = namespace_value(body, BUCKET, "inbox/kill/0105.jpg").events
    assert (event.key, event.other_keys) == ("kill/0105.jpg", ())
