"""One suite for every object store: a folder and an S3 server. What is theirs alone has files of its own."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.message_parts import UserMetadata
from tests.contract.real_servers import S3_SERVERS
from workers.stores.folder import FolderStore
from workers.stores.s3 import S3Store
from workers.stores.store import ObjectForbidden, ObjectGone, ObjectStore, ObjectTooLarge, ObjectUnwanted

KEYS = [
    "a.jpg", "nested/deeper/b.jpg", "with space + plus %41.jpg", "übergroß/日本.png", "a..b/x.jpg",
    "%2F%20+/&=?#;.jpg",
    "quotes'\"<>&amp;.jpg", "emoji \N{SMILING FACE WITH SMILING EYES}\N{COMBINING ACUTE ACCENT}.jpg",
]  # fmt: skip
LONGEST = "/".join(["é" * 50 + "x" * 45] * 7) + "yyy"  # 1,024 bytes: no name in it is too long for a folder


@pytest.fixture(params=["folder", *S3_SERVERS])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, bucket: str, make_s3: Callable[[str], S3Store]
) -> ObjectStore:
    if request.param != "folder":
        return make_s3(request.param)
    (tmp_path / "inbox").mkdir()
    return FolderStore({bucket: tmp_path / "inbox"})


@pytest.mark.parametrize("key", [*KEYS, LONGEST])
def test_what_is_put_is_got(store: ObjectStore, bucket: str, key: str) -> None:
    assert key is not LONGEST or len(key.encode()) == 1024
    put = store.put(bucket, key, io.BytesIO(b"bytes"))
    data, got = store.get(bucket, key, limit=5)
    assert (data, got.ref, got.sequence) == (b"bytes", put.ref, put.sequence)
    seen = store.stat(bucket, key)
    assert seen == got
    (listed,) = store.list(bucket)
    assert (listed.ref, listed.sequence) == (put.ref, put.sequence)
    assert listed.modified == pytest.approx(got.modified, abs=1)  # some say it more exactly in one place
    store.remove(bucket, key)
    store.remove(bucket, key)
    assert store.stat(bucket, key) is None
    with pytest.raises(ObjectGone):
        store.get(bucket, key, limit=5)


def test_overwriting_gives_another_version(store: ObjectStore, bucket: str) -> None:
    first = store.put(bucket, "a.jpg", io.BytesIO(b"one"))
    second = store.put(bucket, "a.jpg", io.BytesIO(b"two"))
    assert first.ref.etag != second.ref.etag
    seen = store.stat(bucket, "a.jpg")
    assert seen is not None
    assert seen.ref == second.ref
    assert first.sequence <= second.sequence


def test_more_than_the_limit_is_not_read(store: ObjectStore, bucket: str) -> None:
    store.put(bucket, "a.jpg", io.BytesIO(b"123456"))
    with pytest.raises(ObjectTooLarge, match="6 bytes"):
        store.get(bucket, "a.jpg", limit=5)


def test_what_is_not_wanted_is_met_and_not_read(store: ObjectStore, bucket: str) -> None:
    """Not even where it is too large, which is a fault only of what is wanted."""
    put = store.put(bucket, "a.jpg", io.BytesIO(b"123456"), "image/png")
    with pytest.raises(ObjectUnwanted) as raised:
        store.get(bucket, "a.jpg", 5, lambda info: info.ref.etag != put.ref.etag)
    assert raised.value.met == store.stat(bucket, "a.jpg")
    assert store.get(bucket, "a.jpg", 6, lambda info: info.ref.etag == put.ref.etag)[0] == b"123456"


def test_an_empty_object(store: ObjectStore, bucket: str) -> None:
    put = store.put(bucket, "empty.jpg", io.BytesIO())
    assert put.ref.size == 0
    assert store.get(bucket, "empty.jpg", limit=5)[0] == b""


def test_lists_are_in_the_order_of_keys_and_go_on_after_any_of_them(store: ObjectStore, bucket: str) -> None:
    names = ["a", "a-b", "a.jpg", "a/b.jpg", "a/b/c.jpg", "a0", "b/é.jpg", "b/z.jpg", "b/日本.jpg", "é/x.jpg"]
    keys = sorted((n + ".png" if n in {"a", "a0"} else n for n in names), key=str.encode)
    for key in reversed(keys):
        store.put(bucket, key, io.BytesIO(b"x"))
    assert [info.ref.key for info in store.list(bucket)] == keys
    for prefix in ("", "a", "a/", "a/b", "b/", "é", "nothing"):
        wanted = [key for key in keys if key.startswith(prefix)]
        assert [info.ref.key for info in store.list(bucket, prefix)] == wanted
        for after in (*keys, "a/", "b", "zzz"):
            rest = [key for key in wanted if key.encode() > after.encode()]
            assert [info.ref.key for info in store.list(bucket, prefix, after)] == rest


def test_a_stream_that_breaks_leaves_nothing(store: ObjectStore, bucket: str) -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1, /) -> bytes:  # noqa: ARG002 -- the signature of streams
            raise OSError("the line is cut")

    with pytest.raises(OSError, match="cut"):
        store.put(bucket, "a.jpg", Broken())  # type: ignore[arg-type]  # as far as anybody reads it, it is one
    assert list(store.list(bucket)) == []


@pytest.mark.parametrize("key", ["../secret", "a/../../secret", "", "..", "a/./b.jpg"])
def test_keys_that_are_no_names(store: ObjectStore, bucket: str, key: str) -> None:
    with pytest.raises(ObjectForbidden):
        store.put(bucket, key, io.BytesIO(b"x"))
    with pytest.raises((ObjectForbidden, ObjectGone)):
        store.get(bucket, key, limit=5)


WRITTEN = [
    UserMetadata("Käse 1.jpg", "auftrag 4711/ü", (("Colour", "red"), ("title", "Sunset in Köln, 日本"), ("x", ""))),
    UserMetadata(None, None, (("text", "ü" * 1000),)), UserMetadata("cat.jpg"), UserMetadata(None, "7"),
]  # fmt: skip


@pytest.mark.parametrize("user", WRITTEN)
@pytest.mark.parametrize("key", ["a.jpg", LONGEST, "n" * 252 + ".jp"])
def test_what_its_owner_wrote_stays_beside_the_object(
    store: ObjectStore, bucket: str, key: str, user: UserMetadata
) -> None:
    assert store.put(bucket, key, io.BytesIO(b"bytes"), "image/jpeg", user).user_metadata == user
    _, got = store.get(bucket, key, limit=5)
    assert got.user_metadata == user
    seen = store.stat(bucket, key)
    assert seen is not None
    assert seen.user_metadata == user
    with pytest.raises(ObjectUnwanted) as unwanted:
        store.get(bucket, key, limit=5, wanted=lambda _: False)
    assert unwanted.value.met.ref == got.ref
    assert [info.ref.key for info in store.list(bucket)] == [key]  # and nothing beside it is an object


def test_another_version_and_another_object_of_the_name_have_their_own(store: ObjectStore, bucket: str) -> None:
    store.put(bucket, "a.jpg", io.BytesIO(b"bytes"), user_metadata=UserMetadata("one.jpg"))
    store.put(bucket, "a.jpg", io.BytesIO(b"longer bytes"))
    assert store.get(bucket, "a.jpg", limit=50)[1].user_metadata is None
    store.put(bucket, "a.jpg", io.BytesIO(b"third"), user_metadata=UserMetadata("three.jpg"))
    assert store.get(bucket, "a.jpg", limit=50)[1].user_metadata == UserMetadata("three.jpg")
    store.remove(bucket, "a.jpg")
    store.put(bucket, "a.jpg", io.BytesIO(b"third"))
    assert store.get(bucket, "a.jpg", limit=50)[1].user_metadata is None
