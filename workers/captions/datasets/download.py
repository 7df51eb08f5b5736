"""Downloads a file: resumes an interrupted download, and compares the result with the server's checksum."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import stamina

from vectordb.disk_space import require_space
from vectordb.errors import Permanent, Transient
from vectordb.proxies import httpx_options

TIMEOUT_S = 30.0  # without a byte
PAUSE_S = 0.5  # before the second attempt; doubled before each further one
CONNECT_S = 5.0  # to connect
ATTEMPTS = 6  # in a row, without a byte that was new
ATTEMPTS_TO_CONNECT = 2  # where no connection has existed yet

OnBytes = Callable[[int, int | None], None]
"""Receives how many bytes of a file there are, and of how many; ``None`` if the server does not say."""


class BadDownload(Permanent):
    """What was downloaded is not what the source has, or the source refuses it."""


class Interrupted(Transient):
    """The connection broke, or the server is busy."""


class NotConnected(Interrupted):
    """There is no connection to the server."""


def download(url: str, target: Path, on_bytes: OnBytes) -> None:
    """Write the content of ``url`` to ``target``.

    What is written in the meantime is ``target`` with the suffix ``.part``; with it a later call continues, if the
    server's ETag is still the same. Raises ``BadDownload``, ``DiskFull``, and ``Transient`` when the server cannot be
    reached for a while.
    """
    part, tag = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.etag")
    failures, before, connected = 0, -1, False
    timeout = httpx.Timeout(TIMEOUT_S, connect=CONNECT_S)
    whole = {"Accept-Encoding": "identity"}
    with httpx.Client(follow_redirects=True, timeout=timeout, headers=whole, **httpx_options(url)) as client:
        for attempt in stamina.retry_context(
            on=Interrupted, attempts=None, timeout=None, wait_initial=PAUSE_S, wait_max=20 * PAUSE_S
        ):
            with attempt:
                try:
                    _rest(client, url, part, tag, on_bytes)
                except Interrupted as exc:
                    there = _size(part)
                    failures = 1 if there > before else failures + 1
                    before = there
                    connected = connected or not isinstance(exc, NotConnected)
                    if failures >= (ATTEMPTS if connected else ATTEMPTS_TO_CONNECT):
                        raise Transient(f"{exc}. To continue, run the same command again") from exc
                    raise
    part.replace(target)
    tag.unlink(missing_ok=True)


def _rest(client: httpx.Client, url: str, part: Path, tag: Path, on_bytes: OnBytes) -> None:
    """One request: what is missing of ``part``, or all of it if the file has changed."""
    there, etag = _size(part), tag.read_text() if tag.exists() else ""
    headers = {"Range": f"bytes={there}-", "If-Range": etag} if there and etag else {}
    try:
        with client.stream("GET", url, headers=headers) as answer:
            if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                if answer.headers.get("Content-Range") == f"bytes */{there}":
                    return  # everything was there
                part.unlink()
                raise Interrupted(f"{url} is shorter than before")
            _refuse(url, answer)
            continued = answer.status_code == httpx.codes.PARTIAL_CONTENT
            begin = there if continued else 0
            if continued and not answer.headers.get("Content-Range", "").startswith(f"bytes {there}-"):
                raise BadDownload(f"{url}: the server answered with another part than the one asked for")
            length = answer.headers.get("Content-Length")
            total = begin + int(length) if length else None
            require_space(part.parent, (total or begin) - begin, f"download {url}")
            _remember(tag, answer.headers.get("ETag", ""))
            _write(answer.iter_raw(), part, begin, total, on_bytes)
            if total is not None and _size(part) != total:
                raise Interrupted(f"{url}: the connection ended after {_size(part):,} of {total:,} bytes")
            _compare(url, part, tag, answer.headers.get_list("x-goog-hash", split_commas=True))
    except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
        host = httpx.URL(url).host
        raise NotConnected(f"no connection to {host} ({str(exc) or type(exc).__name__}). Check the network") from exc
    except httpx.TransportError as exc:
        raise Interrupted(f"{url}: {str(exc) or type(exc).__name__}") from exc


def _refuse(url: str, answer: httpx.Response) -> None:
    code = answer.status_code
    if code in {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS} or code >= 500:
        raise Interrupted(f"{url}: the server answered {code} {answer.reason_phrase}")
    if not answer.is_success:
        raise BadDownload(f"{url}: the server answered {code} {answer.reason_phrase}")
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        raise BadDownload(f"{url}: the server answered with a page instead of the file; it may ask for a login")


def _remember(tag: Path, etag: str) -> None:
    if etag and not etag.startswith("W/"):  # If-Range allows strong tags only (RFC 9110, section 13.1.5)
        tag.write_text(etag)
    else:
        tag.unlink(missing_ok=True)


def _write(pieces: Iterator[bytes], part: Path, begin: int, total: int | None, on_bytes: OnBytes) -> None:
    with part.open("r+b" if part.exists() else "wb") as file:
        file.truncate(begin)
        file.seek(begin)
        on_bytes(begin, total)
        for piece in pieces:
            file.write(piece)
            on_bytes(file.tell(), total)


def _compare(url: str, part: Path, tag: Path, hashes: list[str]) -> None:
    """Compare with the MD5 that Google's storage sends (x-goog-hash, of the XML API's reference)."""
    for said in hashes:
        kind, _, value = said.strip().partition("=")
        if kind == "md5" and base64.b64encode(digest(part, "md5").digest()).decode() != value:
            part.unlink()
            tag.unlink(missing_ok=True)
            raise BadDownload(f"{url}: the downloaded file does not have the checksum that the server states")


def digest(path: Path, kind: str = "sha256") -> hashlib._Hash:
    """The digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
