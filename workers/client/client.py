"""The client of the gateway. Blocking and thread-safe."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import quote

import httpx

from vectordb.errors import Transient
from workers.client.answers import (
    FeedEntry,
    Found,
    FoundImages,
    FoundPage,
    Image,
    Taught,
    TaughtAll,
    TaughtObject,
)
from workers.client.body import opened, parameters
from workers.client.errors import Away, NotFinished, Refused
from workers.client.reading import feed_entry, read
from workers.client.request_values import image_path, time_of, view
from workers.client.search_results import SearchResults
from workers.client.server_events import server_events
from workers.client.strangers import TEXT
from workers.client.transport import Transport
from workers.client.waiting import Waiting
from workers.stores.user_metadata import checked

SLICE_S = 25.0  # seconds per long poll: some proxies close idle connections after 30
PAGE = 200  # objects per page
SEARCHED = 50  # images per page of a search
BUCKET = "inbox"  # the default of WILDTAG_BUCKET
LESSON = 100  # captions per request, the gateway's limit
PAUSE_S = 1.0  # seconds before reconnecting to the feed, or polling again after an immediate response


class Client:
    """A client of the gateway at ``url`` with an API key.

    If the connection breaks or the gateway is busy, a request is retried for ``patience`` seconds, with the pauses of
    ``Retry-After``. ``timeout``: seconds to connect, and between two chunks of a response. ``on_wait`` is called
    before each pause, in the thread of the request. Nothing is printed; pauses are logged at the level INFO by the
    logger ``workers.client``.

    ``url`` may have a path, below which a proxy publishes the gateway. Proxies of the environment are used, except to
    this machine. All methods raise ``Refused`` and ``Postponed``, which are ``ApiError``s, ``Away`` and
    ``StrangeAnswer``. Raises ``UnusableProxy`` if a variable of the environment names a proxy that cannot be used.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 30.0,
        patience: float = 60.0,
        on_wait: Callable[[Waiting], object] | None = None,
    ) -> None:
        self._transport = Transport(url, key, timeout, patience, on_wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def ping(self) -> None:
        """Raises ``Away`` if the gateway does not answer, as the others if something else does. Does not retry."""
        self._transport.ask("GET", "/healthz", patience=0.0, expected=TEXT)

    def upload(
        self,
        source: str | os.PathLike[str] | bytes | BinaryIO,
        *,
        content_type: str | None = None,
        wait: float = 0.0,
        idempotency_key: str | None = None,
        segment: str | None = None,
        file_name: str | None = None,
        client_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Image:
        """Upload an image to be tagged. Returns its progress, after at most ``wait`` seconds.

        ``segment``: also segment it with this method: ``dense``, ``regions`` or ``prompted``. ``file_name``: default:
        that of the file. ``client_id``, ``metadata``: an id of your own and texts, together at most 2,048 bytes; the
        record repeats them. Sends an Idempotency-Key, ``idempotency_key`` or a random one, so retries never duplicate
        an upload. Raises ``OSError`` if the file cannot be read, ``BadMetadata`` for texts that cannot be stored.
        """
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        wanted = {"segment": segment, **parameters(checked(file_name, client_id, metadata))}
        with opened(source, content_type) as body:
            params = {k: v for k, v in ({"file_name": body.file_name} | wanted).items() if v is not None}
            image = read(self._transport.ask("POST", "/v1/images", body=body, headers=headers, params=params), Image)
        if wait > 0:
            try:
                return self._latest(image.id, wait)
            except Transient:
                pass  # the image is stored, so return it
        return image

    def get(self, id: str, *, brief: bool = False) -> Image:  # noqa: A002 -- the name in the API
        """The progress of an image. ``brief``: its record without evidence."""
        return read(self._transport.ask("GET", image_path(id), params=view(brief=brief)), Image)

    def wait(
        self,
        id: str,  # noqa: A002 -- as above
        timeout: float,
        *,
        since: datetime | float | None = None,
        on_change: Callable[[Image], object] | None = None,
    ) -> Image:
        """Wait until an image is final. ``on_change`` is called with each step.

        After ``retag`` it waits for the new record. ``since``: ignore a record whose ``finished_at`` is not later, a
        time with a zone or Unix seconds. Raises ``NotFinished`` after ``timeout`` seconds.
        """
        image = self._latest(id, timeout, since, on_change)
        if not image.final:
            fault = f": {image.fault}" if image.fault else ""
            raise NotFinished(f"not finished after {timeout:g} s; the state is {image.state}{fault}")
        return image

    def tagged(self, label: str, min_score: float = 0.0, *, brief: bool = False) -> Iterator[Found]:
        """The objects with a tag in any spelling, surest first, those that are only implied last. Fetches pages.

        ``brief``: records without evidence, which are much smaller.
        """
        params = {"min_score": str(min_score), "limit": str(PAGE), **view(brief=brief)}
        while True:
            answer = self._transport.ask("GET", f"/v1/tags/{quote(label, safe='')}/objects", params=params)
            page = read(answer, FoundPage)
            yield from page.objects
            if page.cursor is None:
                return
            params["cursor"] = page.cursor

    def search(
        self,
        query: str = "",
        *,
        like: str | None = None,
        image: str | os.PathLike[str] | bytes | BinaryIO | None = None,
        tags: Sequence[str] = (),
        not_tags: Sequence[str] = (),
        bucket: str | None = None,
        prefix: str = "",
        after: str | None = None,
        before: str | None = None,
        state: str | None = None,
        page: int = SEARCHED,
    ) -> SearchResults:
        """The images that a text describes, best first. Fetches pages of ``page`` images.

        Instead of a text: ``like``, the key of an object, or ``image``, a file of your own, find what looks like it;
        without any of them the filters list what fulfils them, tagged last first. ``tags``, ``not_tags``: in any
        spelling. ``after``, ``before``: when the images were taken, a date or RFC 3339. ``state``: of their records.
        Raises ``OSError`` if a file cannot be read.
        """
        if sum((bool(query), like is not None, image is not None)) > 1:
            raise ValueError("give one of query, like and image")
        if isinstance(tags, str) or isinstance(not_tags, str):
            raise TypeError("tags and not_tags are sequences of tags, not one text")
        given = {"q": query, "like": like, "bucket": bucket, "prefix": prefix, "after": after, "before": before}
        params: dict[str, str | list[str]] = {k: v for k, v in (given | {"state": state}).items() if v}
        params |= {"tag": list(tags), "not_tag": list(not_tags), "limit": str(page)}

        def page_at(cursor: str | None) -> FoundImages:
            if cursor is not None:
                rest = {"cursor": cursor, "limit": str(page)}
                return read(self._transport.ask("GET", "/v1/search", params=rest), FoundImages)
            if image is None:
                return read(self._transport.ask("GET", "/v1/search", params=params), FoundImages)
            with opened(image, None) as body:
                return read(self._transport.ask("POST", "/v1/search", body=body, params=params), FoundImages)

        return SearchResults(page_at)

    find = search

    def feed(self, after: str | None = None) -> Iterator[FeedEntry]:
        """Finished and removed objects as they happen, from now on or after the event ``after``. Never ends.

        Reconnects after a broken connection and resumes after the last event; a ``gap`` event says that events were
        missed.
        """
        while True:
            listening = False
            try:
                with self._transport.stream("/v1/feed", {"Last-Event-ID": after} if after else {}) as pieces:
                    listening = True
                    for event in server_events(pieces):
                        after = event.id or after  # the first event has only the current position
                        if event.data:
                            yield feed_entry(event)
            except Away:
                if not listening:  # the transport has retried already
                    raise
            time.sleep(PAUSE_S)

    def delete(self, id: str) -> bool:  # noqa: A002 -- as above
        """Delete an image and its record. Whether it existed."""
        try:
            self._transport.ask("DELETE", image_path(id))
        except Refused as exc:
            if exc.status != httpx.codes.NOT_FOUND or not exc.of_gateway:
                raise
            return False
        return True

    def retag(self, id: str) -> Image:  # noqa: A002 -- as above
        """Tag an image again. Returns its progress: ``queued``, with its last record as ``previous``."""
        return read(self._transport.ask("POST", f"{image_path(id)}:retag"), Image)

    def segment(self, id: str, method: str = "dense") -> Image:  # noqa: A002 -- as above
        """Segment an image and tag it again. Returns its progress, with its last record as ``previous``."""
        return read(self._transport.ask("POST", f"{image_path(id)}:segment", params={"method": method}), Image)

    def teach(
        self, key: object, label: str | None = None, *, accepted: bool | None = True, bucket: str = BUCKET
    ) -> TaughtObject:
        """Accept a label for an object, reject it, or (``None``) take back what was said of it.

        It holds for the object from now on. Images that look like it gain the label, or lose it. Raises ``Refused``
        if the object has no tags. To add captions, call ``add_captions``.
        """
        if not isinstance(key, str) or label is None:
            raise TypeError("teach takes a key and a label: teach('cat.jpg', 'Chelsea'); add_captions adds captions")
        path = f"/v1/objects/{quote(bucket, safe='')}/{quote(key)}:tag"
        return read(self._transport.ask("POST", path, json={"label": label, "accepted": accepted}), TaughtObject)

    def add_captions(self, captions: Sequence[str], source: str | None = None) -> tuple[Taught, ...]:
        """Add captions. ``source``: a name for their origin. Raises ``TypeError`` for one text instead of several."""
        if isinstance(captions, str):
            raise TypeError("add_captions takes several captions: add_captions([caption])")
        taught: list[Taught] = []
        for start in range(0, len(captions), LESSON):
            lesson: dict[str, Any] = {"captions": list(captions[start : start + LESSON])}
            if source is not None:
                lesson["source"] = source
            taught += read(self._transport.ask("POST", "/v1/captions", json=lesson), TaughtAll).captions
        return tuple(taught)

    def _latest(
        self,
        name: str,
        timeout: float,
        since: datetime | float | None = None,
        on_change: Callable[[Image], object] | None = None,
    ) -> Image:
        """The progress once it is final, or after ``timeout`` seconds, by long polling.

        Without If-None-Match the gateway responds when the image is final, with it at the next step.
        """
        until = time.monotonic() + timeout
        image: Image | None = None
        headers: dict[str, str] = {}
        while True:
            began = time.monotonic()
            left = max(0.0, until - began)
            slice_s = 0.0 if on_change and image is None else min(left, SLICE_S)
            answer = self._transport.ask(
                "GET", image_path(name), headers=headers, longer=slice_s,
                patience=min(left, self._transport.patience),
                params={"wait": f"{slice_s:.3f}", **({"since": time_of(since)} if since else {})},
            )  # fmt: skip
            changed = answer.status_code != httpx.codes.NOT_MODIFIED
            if changed or image is None:
                image = read(answer, Image)
                if on_change is not None:
                    headers = {"If-None-Match": answer.headers.get("ETag", "")}
                    on_change(image)
            if image.final or left <= 0:
                return image
            if not (changed and on_change) and time.monotonic() - began < min(PAUSE_S, slice_s):
                time.sleep(min(PAUSE_S, left))
