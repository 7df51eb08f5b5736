"""The listen API of MinIO: one request whose answer never ends and carries the bucket's events, a line each.

The request asks for ``ping=10``: MinIO then sends an empty ``{"Records":…}`` every ten seconds, and no header before
the first ping or event (``ListenNotificationHandler``). Servers from before that wish send a blank every 500 ms. So a
listener that hears no header in 15 s, or nothing in the time of three pings, is deaf: MinIO built from sources after
commit 52eee5a2f (2025-10-23) flushes nothing until it stops, and a proxy that buffers does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from typing import Any

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error
from urllib3.exceptions import HTTPError, ReadTimeoutError

from vectordb.errors import Permanent, Transient
from workers.stores.s3_notification import WANTED

PING_S = 10
HEADER_S = 15.0
SILENCE_S = 3.0 * PING_S
PIECE = 2**16
# refusals that pass by themselves: a timeout, another operation that is under way, too many requests
PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}

Connect = Callable[[], AbstractContextManager[Iterable[bytes]]]


class Dropped(Transient):
    """The connection could not be made, or ended without a farewell."""


class Deaf(Dropped):
    """The server took the request and says nothing, not even that it lives."""


class Refused(Permanent):
    """The server has no listen API, or not for this key pair or bucket: time alone does not change that."""


def connecting(
    client: Minio, bucket: str, prefix: str = "", suffix: str = "", *, ping_s: int = PING_S,
    silence_s: float = SILENCE_S,
) -> Connect:  # fmt: skip
    """Opens the listen API: gives the bytes as they come. Raises ``Dropped``, ``Deaf`` and ``Refused``.

    ``client`` must wait for a header no longer than ``HEADER_S``, and try once (``S3Connection.once``). Its own
    call for this knows no ping, hides keep-alives, and connects again by itself when the server ends the answer, so
    that nobody would catch up.
    """

    @contextmanager
    def connect() -> Iterator[Iterable[bytes]]:
        with _explained():
            if client._base_url.is_aws_host:  # noqa: SLF001 -- as minio-py's own call looks
                raise Refused("Amazon S3 has no listen API")
            response: Any = client._execute(  # noqa: SLF001 -- see above
                "GET", bucket, preload_content=False,
                query_params={"prefix": prefix, "suffix": suffix, "events": list(WANTED), "ping": str(ping_s)},
            )  # fmt: skip
            try:
                if response.connection is not None and response.connection.sock is not None:
                    response.connection.sock.settimeout(silence_s)  # between two signs of life
                yield _events(response)
            finally:
                response.close()
                response.release_conn()

    return connect


def _events(response: urllib3.HTTPResponse) -> Iterator[bytes]:
    """The pieces of the answer. Raises ``Refused`` when they are something else than events.

    Servers that do not know the request take it for the listing of a bucket; a proxy may answer with a page.
    """
    begun = False
    for piece in _pieces(response):
        if not begun and (start := piece.lstrip()[:1]):
            if start != b"{":
                kind = response.headers.get("content-type", "of no type")
                raise Refused(f"the server answers with something else than events ({kind})")
            begun = True
        yield piece


def _pieces(response: urllib3.HTTPResponse) -> Iterator[bytes]:
    if response.chunked:
        yield from response.stream()
        return
    while piece := response.read1(PIECE):  # of HTTP/1.0, which ends with its connection; read() would wait for more
        yield piece


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except S3Error as exc:
        said = f"{exc.code}: {exc.message}"
        if _lasting(exc.response.status):
            raise Refused(f"the bucket cannot be listened to: {said}") from exc
        raise Dropped(said) from exc
    except InvalidResponseError as exc:
        status = exc._code  # noqa: SLF001 -- told in no other way
        if _lasting(status):
            raise Refused(f"the server has no listen API: it answers {status}") from exc
        raise Dropped(f"the server answers {status}") from exc
    except ReadTimeoutError as exc:
        raise Deaf("the server took the request and sends nothing, not even a sign of life") from exc
    except (HTTPError, MinioException, OSError) as exc:
        raise Dropped(f"{type(exc).__name__}: {exc}") from exc
    except ValueError as exc:  # what minio-py says of a bucket's name
        raise Refused(f"cannot be listened to: {exc}") from exc


def _lasting(status: int) -> bool:
    return (300 <= status < 500 and status not in PASSING) or status == HTTPStatus.NOT_IMPLEMENTED
