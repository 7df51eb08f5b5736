"""MinIO's listen API: one request whose response never ends and streams the bucket's events, one per line.

The request asks for ``ping=10``: MinIO then sends an empty ``{"Records":…}`` every ten seconds. It sends no header
before the first ping or event (``ListenNotificationHandler``). Older servers ignore the parameter and send a space
every 500 ms. A connection counts as deaf if no header arrives within 15 s, or nothing for three ping intervals.
Causes: MinIO built from source after commit 52eee5a2f (2025-10-23), which does not flush until it stops, or a
buffering proxy.
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
# temporary refusals: a timeout, a conflicting operation in progress, too many requests
PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}

Connect = Callable[[], AbstractContextManager[Iterable[bytes]]]


class Dropped(Transient):
    """The connection could not be made, or ended unexpectedly."""


class Deaf(Dropped):
    """The server accepted the request but sends nothing, not even keep-alives."""


class Refused(Permanent):
    """The server has no listen API, or denies it for this key pair or bucket. Retrying alone does not help."""


def connecting(
    client: Minio, bucket: str, prefix: str = "", suffix: str = "", *, ping_s: int = PING_S,
    silence_s: float = SILENCE_S,
) -> Connect:  # fmt: skip
    """Opens the listen API and yields the bytes as they arrive. Raises ``Dropped``, ``Deaf`` and ``Refused``.

    ``client`` must wait at most ``HEADER_S`` for a header and must not retry (``S3Connection.once``). minio-py's own
    call is not used: it does not support pings, hides keep-alives, and reconnects silently when the server ends the
    response, so missed events would go unnoticed.
    """

    @contextmanager
    def connect() -> Iterator[Iterable[bytes]]:
        with _explained():
            if client._base_url.is_aws_host:  # noqa: SLF001 -- the same check as in minio-py's own call
                raise Refused("Amazon S3 has no listen API")
            response: Any = client._execute(  # noqa: SLF001 -- see above
                "GET", bucket, preload_content=False,
                query_params={"prefix": prefix, "suffix": suffix, "events": list(WANTED), "ping": str(ping_s)},
            )  # fmt: skip
            try:
                if response.connection is not None and response.connection.sock is not None:
                    response.connection.sock.settimeout(silence_s)  # between two chunks
                yield _events(response)
            finally:
                response.close()
                response.release_conn()

    return connect


def _events(response: urllib3.HTTPResponse) -> Iterator[bytes]:
    """Yield the chunks of the response. Raises ``Refused`` if they are not events.

    Servers without the listen API treat the request as a bucket listing; a proxy may return an HTML page.
    """
    begun = False
    for piece in _pieces(response):
        if not begun and (start := piece.lstrip()[:1]):
            if start != b"{":
                kind = response.headers.get("content-type", "no content type")
                raise Refused(f"the server did not answer with events but with {kind}")
            begun = True
        yield piece


def _pieces(response: urllib3.HTTPResponse) -> Iterator[bytes]:
    if response.chunked:
        yield from response.stream()
        return
    while piece := response.read1(PIECE):  # HTTP/1.0 ends with its connection; read() would block for more
        yield piece


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except S3Error as exc:
        reason = f"{exc.code}: {exc.message}"
        if _lasting(exc.response.status):
            raise Refused(f"the bucket does not allow listening: {reason}") from exc
        raise Dropped(reason) from exc
    except InvalidResponseError as exc:
        status = exc._code  # noqa: SLF001 -- not available in any other way
        if _lasting(status):
            raise Refused(f"the server has no listen API: it answered {status}") from exc
        raise Dropped(f"the server answered {status}") from exc
    except ReadTimeoutError as exc:
        raise Deaf("the server accepted the request but sends nothing, not even keep-alives") from exc
    except (HTTPError, MinioException, OSError) as exc:
        raise Dropped(f"{type(exc).__name__}: {exc}") from exc
    except ValueError as exc:  # raised by minio-py for an invalid bucket name
        raise Refused(f"listening is not possible: {exc}") from exc


def _lasting(status: int) -> bool:
    return (300 <= status < 500 and status not in PASSING) or status == HTTPStatus.NOT_IMPLEMENTED
