"""What becomes of all that an S3 server, or the way to it, can answer: what fails, what waits, and what it says."""

from __future__ import annotations

import io
import itertools
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.message_parts import ObjectRef
from tests.contract.certificates import certified
from tests.contract.s3_server import Answer, made_up, refusal, store_at
from vectordb.errors import Transient, WildtagError
from workers.lifecycle.policy import RETRIES, Postpone, Retry, after_error
from workers.stores.lookup import NotAsked, look
from workers.stores.s3 import S3Store
from workers.stores.s3_errors import BucketForbidden, BucketRefused
from workers.stores.store import (
    BucketMissing,
    ObjectError,
    ObjectForbidden,
    ObjectGone,
    ObjectInfo,
    ObjectNameRefused,
    ObjectTooLarge,
    ObjectUnwanted,
    StoreAway,
    StoreRefuses,
)

LIMIT = 100
ETAG = {"ETag": '"e"'}


@pytest.mark.parametrize(
    ("status", "code", "error", "says"),
    [
        (404, "NoSuchKey", ObjectGone, "the object does not exist"),
        (404, "NoSuchVersion", ObjectGone, "the object does not exist"),
        (404, "NoSuchBucket", BucketMissing, "no bucket photos"),
        (403, "AccessDenied", ObjectForbidden, "AKIATEST"),
        (403, "InvalidAccessKeyId", StoreRefuses, "AKIATEST"),
        (403, "SignatureDoesNotMatch", StoreRefuses, "AKIATEST"),
        (400, "ExpiredToken", StoreRefuses, "AKIATEST"),
        (403, "RequestTimeTooSkewed", StoreRefuses, "clocks"),
        (400, "AuthorizationHeaderMalformed", StoreRefuses, "WILDTAG_S3_REGION"),
        (301, "PermanentRedirect", StoreRefuses, "WILDTAG_S3_REGION"),
        (403, "InvalidObjectState", ObjectError, "archived"),
        (400, "KeyTooLongError", ObjectNameRefused, "KeyTooLongError"),
        (400, "XMinioInvalidObjectName", ObjectNameRefused, "does not take this key"),
        (412, "PreconditionFailed", ObjectError, "PreconditionFailed"),
        (405, "MethodNotAllowed", ObjectError, "MethodNotAllowed"),
        (501, "NotImplemented", ObjectError, "NotImplemented"),
        (503, "SlowDown", StoreAway, "SlowDown"),
        (500, "InternalError", StoreAway, "InternalError"),
        (507, "XMinioStorageFull", StoreAway, "XMinioStorageFull"),
        (429, "TooManyRequests", StoreAway, "TooManyRequests"),
        (400, "RequestTimeout", StoreAway, "RequestTimeout"),
    ],
)
def test_every_refusal_has_its_error(status: int, code: str, error: type[WildtagError], says: str) -> None:
    def answer(method: str, path: str) -> Answer:  # noqa: ARG001 -- all are answered alike
        return Answer(status, refusal(code))

    with made_up(answer) as server:
        store = store_at(server.url, "photos")
        calls: list[Callable[[], object]] = [
            lambda: store.get("photos", "a.jpg", LIMIT),
            lambda: store.put("photos", "a.jpg", io.BytesIO(b"x")),
            lambda: store.tags("photos", "a.jpg"),
        ]
        for call in calls:
            with pytest.raises(error, match=says) as raised:
                call()
            assert type(raised.value) is error
            assert "secret" not in str(raised.value)
            assert raised.value.__cause__ is not None


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "InvalidAccessKeyId", StoreRefuses),
        (403, "RequestTimeTooSkewed", StoreRefuses),
        (400, "ExpiredToken", StoreRefuses),
        (403, "AccessDenied", ObjectForbidden),
    ],
)
def test_a_look_that_is_refused_without_a_reason_asks_for_it(
    status: int, code: str, error: type[WildtagError]
) -> None:
    with made_up(lambda *_: Answer(status, refusal(code))) as server, pytest.raises(error):
        store_at(server.url, "photos").stat("photos", "a.jpg")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_that_fails_without_a_word_is_away(status: int) -> None:
    with made_up(lambda *_: Answer(status, b"<html>bad gateway", {"Content-Type": "text/html"})) as server:
        store = store_at(server.url, "photos")
        for call in (lambda: store.stat("photos", "a"), lambda: store.get("photos", "a", 1)):
            with pytest.raises(StoreAway):
                call()
        assert len(server.asked) == 2 * 3  # each was tried three times


def test_a_server_that_comes_back_at_once_was_never_away() -> None:
    answers = [Answer(503, refusal("SlowDown")), Answer(503, refusal("SlowDown")), Answer(200, b"bytes", ETAG)]
    with made_up(lambda *_: answers.pop(0)) as server:
        assert store_at(server.url).get("photos", "a.jpg", LIMIT)[0] == b"bytes"


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"<", b"\xff\xfe", b""])
@pytest.mark.parametrize("status", [200, 403, 404])
def test_what_is_no_s3_server_makes_images_wait(status: int, body: bytes) -> None:
    with made_up(lambda *_: Answer(status, body)) as server:
        store = store_at(server.url, "photos")
        with pytest.raises(Transient):
            store.get("photos", "a.jpg", LIMIT)
        if status == 200:
            with pytest.raises(Transient):
                store.stat("photos", "a.jpg")
        with pytest.raises(Transient):
            list(store.list("photos"))


def test_a_bucket_that_vanished_is_not_the_end_of_its_objects(s3_url: str, bucket: str) -> None:
    followed, other = store_at(s3_url, bucket), store_at(s3_url)
    calls: list[Callable[[S3Store], object]] = [
        lambda store: store.stat(bucket, "a.jpg"),
        lambda store: store.get(bucket, "a.jpg", LIMIT),
        lambda store: list(store.list(bucket)),
        lambda store: store.put(bucket, "a.jpg", io.BytesIO(b"x")),
        lambda store: store.remove(bucket, "a.jpg"),
    ]
    for call in calls:
        with pytest.raises(BucketMissing, match=bucket):
            call(followed)
        with pytest.raises(ObjectError, match=bucket):  # of an event for a bucket that nobody follows
            call(other)


def test_a_bucket_that_vanishes_in_the_middle_of_a_storm_takes_no_object_with_it() -> None:
    gone_after = 60
    requests = itertools.count()

    def answer(method: str, path: str) -> Answer:  # noqa: ARG001 -- all requests are looks
        if next(requests) > gone_after:
            return Answer(404)
        missing = path.startswith("/photos/missing")
        return Answer(404) if missing else Answer(body=b"bytes", headers=ETAG)

    keys = [f"{'missing' if number % 2 else 'there'}-{number}.jpg" for number in range(200)]
    with made_up(answer) as server:
        seen = look(store_at(server.url, "photos"), [("photos", key) for key in keys])
    assert {type(found) for (_, key), found in seen.items() if key.startswith("there")} <= {
        ObjectInfo, BucketMissing, NotAsked,
    }  # fmt: skip
    assert None in seen.values()
    assert any(isinstance(found, BucketMissing) for found in seen.values())


def test_a_missing_object_that_one_may_not_be_told_of_is_forbidden_and_says_what_to_allow() -> None:
    with (
        made_up(lambda *_: Answer(403, refusal("AccessDenied"))) as server,
        pytest.raises(ObjectForbidden, match="s3:ListBucket on arn:aws:s3:::photos"),
    ):
        store_at(server.url, "photos").stat("photos", "a.jpg")


@pytest.mark.parametrize("error", [BucketMissing, StoreRefuses, StoreAway])
def test_what_can_be_mended_postpones_images_and_names_the_fault(error: type[WildtagError]) -> None:
    assert isinstance(after_error(error("the bucket is gone"), 3, 0), Retry)
    assert after_error(error("the bucket is gone"), 3, RETRIES) == Postpone(30.0, "the bucket is gone")


def test_a_bucket_that_may_not_be_listed_is_not_an_empty_one() -> None:
    with (
        made_up(lambda *_: Answer(403, refusal("AccessDenied"))) as server,
        pytest.raises(BucketForbidden, match="AKIATEST"),
    ):
        list(store_at(server.url, "photos").list("photos"))
    with (
        made_up(lambda *_: Answer(400, refusal("InvalidArgument"))) as server,
        pytest.raises(BucketRefused, match="InvalidArgument"),
    ):
        list(store_at(server.url, "photos").list("photos"))


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(StoreAway, match=str(port)):
        store_at(f"http://127.0.0.1:{port}").stat("photos", "a.jpg")


def test_what_answers_tls_in_the_clear_is_away() -> None:
    with made_up(lambda *_: Answer()) as server, pytest.raises(StoreAway):
        store_at(server.url.replace("http:", "https:")).stat("photos", "a.jpg")


def test_a_certificate_is_trusted_when_its_authority_is_named(tmp_path: Path) -> None:
    trusted, tls = certified(tmp_path)
    with made_up(lambda *_: Answer(body=b"bytes", headers=ETAG), tls) as server:
        assert store_at(server.url, ca_file=trusted).get("photos", "a.jpg", LIMIT)[0] == b"bytes"
        with pytest.raises(StoreRefuses, match="WILDTAG_S3_CA_FILE"):
            store_at(server.url).get("photos", "a.jpg", LIMIT)
        with pytest.raises(StoreRefuses, match="cannot be read"):
            store_at(server.url, ca_file=tmp_path / "none.pem").get("photos", "a.jpg", LIMIT)
        trusted.write_text("nonsense")
        with pytest.raises(StoreRefuses, match="contains no certificates"):
            store_at(server.url, ca_file=trusted).get("photos", "a.jpg", LIMIT)


# -- bodies


def test_a_connection_serves_many_requests() -> None:
    with made_up(lambda *_: Answer(body=b"bytes", headers=ETAG)) as server:
        store = store_at(server.url)
        for limit in (5, 6, LIMIT):
            store.get("photos", "a.jpg", limit)
            store.stat("photos", "a.jpg")
        assert server.connections == 1


def test_an_object_above_the_limit_is_refused_unread() -> None:
    with (
        made_up(lambda *_: Answer(body=b"", headers=ETAG, promised=10**12)) as server,
        pytest.raises(ObjectTooLarge, match="1,000,000,000,000 bytes") as raised,
    ):
        store_at(server.url).get("photos", "a.jpg", LIMIT)
    assert raised.value.met is not None
    assert raised.value.met.ref.etag == "e"


def test_an_object_that_is_not_wanted_is_left_unread_whatever_its_size() -> None:
    headers = {**ETAG, "Content-Type": "video/mp4", "x-amz-version-id": "v"}
    with (
        made_up(lambda *_: Answer(body=b"", headers=headers, promised=10**12)) as server,
        pytest.raises(ObjectUnwanted) as raised,
    ):
        store_at(server.url).get("photos", "a.mp4", LIMIT, lambda info: info.content_type != "video/mp4")
    assert raised.value.met.ref == ObjectRef("photos", "a.mp4", "e", 10**12, "v")


@pytest.mark.parametrize("size", [LIMIT + 1, 10 * 2**20])
def test_an_object_that_grows_while_it_is_read(size: int) -> None:
    with (
        made_up(lambda *_: Answer(body=b"x" * size, headers=ETAG, promised=None)) as server,
        pytest.raises(ObjectTooLarge, match="more than 100 bytes"),
    ):
        store_at(server.url).get("photos", "a.jpg", LIMIT)


def test_a_body_of_unknown_length_within_the_limit() -> None:
    with made_up(lambda *_: Answer(body=b"x" * LIMIT, headers=ETAG, promised=None)) as server:
        data, info = store_at(server.url).get("photos", "a.jpg", LIMIT)
    assert (len(data), info.ref.size, info.ref.etag) == (LIMIT, LIMIT, "e")


def test_a_body_that_ends_too_early() -> None:
    with made_up(lambda *_: Answer(body=b"half", headers=ETAG, promised=8)) as server, pytest.raises(StoreAway):
        store_at(server.url).get("photos", "a.jpg", LIMIT)


def test_a_body_that_is_not_in_the_encoding_it_names() -> None:
    with (
        made_up(lambda *_: Answer(body=b"plain", headers={**ETAG, "Content-Encoding": "gzip"})) as server,
        pytest.raises(ObjectError, match="encoding"),
    ):
        store_at(server.url).get("photos", "a.jpg", LIMIT)
