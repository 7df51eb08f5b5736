"""What only an S3 server has: versions, pages, parts, tags, presigned addresses; and where credentials are found."""

from __future__ import annotations

import io
import os
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit
from xml.sax.saxutils import escape

import httpx
import pytest
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from tests.contract.s3_server import Answer, made_up, store_at
from workers.settings.settings import Settings
from workers.stores.s3 import PART, S3Store
from workers.stores.s3_connection import FoundCredentials, S3Options
from workers.stores.store import ObjectError, ObjectForbidden, ObjectGone, StoreRefuses
from workers.wiring.wiring import Wiring

HIDDEN = "hidden"


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of a real server were read before."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "MINIO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


def test_the_current_version_counts_and_a_delete_marker_is_the_end(s3: S3Store, bucket: str) -> None:
    s3.connection.client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
    first, second = (s3.put(bucket, "a.jpg", io.BytesIO(data)) for data in (b"one", b"two"))
    assert first.ref.version_id
    assert first.ref.version_id != second.ref.version_id
    data, got = s3.get(bucket, "a.jpg", 3)
    assert (data, got.ref) == (b"two", second.ref)
    s3.remove(bucket, "a.jpg")
    assert s3.stat(bucket, "a.jpg") is None
    assert list(s3.list(bucket)) == []
    with pytest.raises(ObjectGone):
        s3.get(bucket, "a.jpg", 3)
    third = s3.put(bucket, "a.jpg", io.BytesIO(b"3"))
    seen = s3.stat(bucket, "a.jpg")
    assert seen is not None
    assert seen.ref == third.ref


def test_a_stream_of_several_parts(s3: S3Store, bucket: str) -> None:
    size = 2 * PART + 7
    put = s3.put(bucket, "large.bin", io.BytesIO(b"x" * size), "image/tiff")
    seen = s3.stat(bucket, "large.bin")
    assert seen is not None
    assert seen.ref == put.ref
    assert (seen.ref.size, seen.content_type) == (size, "image/tiff")
    assert len(s3.get(bucket, "large.bin", size)[0]) == size


def test_pages_follow_each_other_and_only_as_far_as_somebody_reads() -> None:
    keys = [f"album/{number:02} +%&é.jpg" for number in range(10)]

    def answer(method: str, path: str) -> Answer:
        query = parse_qs(urlsplit(path).query)
        assert (method, query["prefix"], query.get("delimiter")) == ("GET", ["album/"], None)
        after = query.get("continuation-token", query.get("start-after"))
        start = keys.index(after[0]) + 1 if after else 0
        listed = "".join(
            f'<Contents><Key>{quote(key)}</Key><ETag>"e"</ETag><Size>1</Size></Contents>'
            for key in keys[start : start + 3]
        )
        more = start + 3 < len(keys)
        last = escape(keys[start + 2]) if more else ""
        token = f"<NextContinuationToken>{last}</NextContinuationToken>" if more else ""
        return Answer(body=(
            f"<ListBucketResult><Name>photos</Name><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"<EncodingType>url</EncodingType>{token}{listed}</ListBucketResult>"
        ).encode())  # fmt: skip

    with made_up(answer) as server:
        s3 = store_at(server.url)
        assert [info.ref.key for info in s3.list("photos", "album/")] == keys
        assert len(server.asked) == 4
        assert [info.ref.key for info in s3.list("photos", "album/", keys[4])] == keys[5:]
        assert len(server.asked) == 6
        assert next(s3.list("photos", "album/")).ref.key == keys[0]
        assert len(server.asked) == 7


def test_folders_of_clients_that_show_some_are_no_objects(s3: S3Store, bucket: str) -> None:
    s3.put(bucket, "album/", io.BytesIO())
    assert list(s3.list(bucket)) == []
    assert s3.stat(bucket, "album/") is None
    with pytest.raises(ObjectGone):
        s3.get(bucket, "album/", 5)


def test_tags_are_replaced_as_a_whole(s3: S3Store, bucket: str) -> None:
    key = "ü +%.jpg"
    s3.put(bucket, key, io.BytesIO(b"x"))
    assert s3.tags(bucket, key) == {}
    s3.set_tags(bucket, key, {"team": "a b", "wildtag.1": "cat"})
    s3.set_tags(bucket, key, {"wildtag.1": "dog"})
    assert s3.tags(bucket, key) == {"wildtag.1": "dog"}
    s3.set_tags(bucket, key, {})
    assert s3.tags(bucket, key) == {}
    for wrong in ({str(n): "x" for n in range(11)}, {"a" * 129: "x"}, {"a": "x" * 257}):
        with pytest.raises(ObjectError):
            s3.set_tags(bucket, key, wrong)
    with pytest.raises(ObjectGone):
        s3.tags(bucket, "other.jpg")


def test_presigned_addresses_let_others_in(s3: S3Store, bucket: str) -> None:
    key = "ü +%/a.jpg"
    url, fields = s3.upload_form(bucket, key, "image/jpeg", range(1, 6), 60)
    httpx.post(url, data=fields, files={"file": b"bytes"}, timeout=30).raise_for_status()
    assert s3.get(bucket, key, 5)[0] == b"bytes"
    with urllib.request.urlopen(s3.download_url(bucket, key, 60), timeout=30) as answer:
        assert answer.read() == b"bytes"


def test_presigned_addresses_are_of_the_public_endpoint_and_signed_without_asking() -> None:
    with made_up(lambda *_: Answer()) as internal:
        s3 = store_at(internal.url, public_endpoint="https://images.example.org")
        url = urlsplit(s3.download_url("photos", "a b.jpg", 60))
        assert (url.scheme, url.netloc, url.path) == ("https", "images.example.org", "/photos/a%20b.jpg")
        assert "X-Amz-Expires=60" in url.query
        assert internal.asked == []


def test_names_that_are_none(s3: S3Store, bucket: str) -> None:
    for key in ("surrogate \udce9.jpg", "a//../b"):
        with pytest.raises(ObjectForbidden):
            s3.stat(bucket, key)
    for other in ("No Bucket", "a", "../x"):
        with pytest.raises(ObjectForbidden):
            s3.stat(other, "a.jpg")


def test_a_forked_process_has_a_client_of_its_own(moto_url: str) -> None:
    s3 = store_at(moto_url)
    mine = id(s3.connection.client)
    assert mine == id(s3.connection.client)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, str(id(s3.connection.client) != mine).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 10) == b"True"


# -- where credentials are found


@pytest.mark.parametrize(
    ("text", "access_key", "found"),
    [
        ("[default]\naws_access_key_id = A\naws_secret_access_key = hidden%1\n", None, ("A", "hidden%1")),
        ("A\nhidden\n", None, ("A", "hidden")),
        ("\n hidden \n\n", "A", ("A", "hidden")),
        ("s", None, None),
        ("", None, None),
        ("A\nB\ns", None, None),
        ("[other]\naws_access_key_id = A\n", None, None),
    ],
)
def test_credentials_in_a_file(
    tmp_path: Path, text: str, access_key: str | None, found: tuple[str, str] | None
) -> None:
    file = tmp_path / "secret"
    file.write_text(text)
    here = FoundCredentials(S3Options("http://x", "http://x", "r", access_key=access_key, credentials_file=file))
    if found:
        credentials = here.retrieve()
        assert (credentials.access_key, credentials.secret_key) == found
        assert str(file) in here.who
        assert found[1] not in here.who
        file.unlink()
        with pytest.raises(StoreRefuses, match="cannot be read"):
            here.retrieve()
    else:
        with pytest.raises(StoreRefuses, match="not a credentials file"):
            here.retrieve()


def test_credentials_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    here = FoundCredentials(S3Options("http://x", "http://x", "r"))
    with pytest.raises(StoreRefuses, match="WILDTAG_S3_ACCESS_KEY"):
        here.retrieve()
    monkeypatch.setenv("MINIO_ACCESS_KEY", "M")
    monkeypatch.setenv("MINIO_SECRET_KEY", "s")
    assert here.retrieve().access_key == "M"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert here.retrieve().access_key == "A"
    assert "AWS_ACCESS_KEY_ID" in here.who


@pytest.fixture
def settings() -> Settings:
    named = {"s3_endpoint": "http://minio:9000/", "s3_access_key": "A", "s3_secret_key": HIDDEN}
    return Settings.model_validate(named)


def test_settings_choose_the_store_and_travel_to_children_but_not_into_a_repr(settings: Settings) -> None:
    store = Wiring(settings).store
    assert isinstance(store, S3Store)
    assert store.connection.options.endpoint == "http://minio:9000"
    assert HIDDEN not in repr(settings) + repr(store.connection.options)
    environment = settings.environment()
    assert environment["WILDTAG_S3_SECRET_KEY"] == HIDDEN
    assert environment["WILDTAG_S3_ENDPOINT"] == "http://minio:9000"


@pytest.mark.parametrize("url", ["minio:9000", "ftp://minio", "http://", "http://a/b", "http://u:p@a", "http://a:x"])
def test_addresses_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"S3 server|[Pp]ort"):
        Settings(s3_endpoint=url)
