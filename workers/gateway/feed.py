"""``GET /v1/feed``: a resumable stream of finished objects."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Depends, Header, Response

from workers.gateway import responses
from workers.gateway.access import Access
from workers.gateway.api_keys import Scope
from workers.gateway.broadcaster import Broadcaster
from workers.gateway.event_streams import Streams, event
from workers.gateway.problems import Problem
from workers.lifecycle.record_reader import FeedItem, Records
from workers.lifecycle.record_view import public_json
from workers.redis.streams import entry_order

PAGE = 100
LARGEST = 2**64 - 1  # of each of the two numbers in an id
_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


async def items(records: Records, broadcaster: Broadcaster, after: str) -> AsyncIterator[bytes]:
    """The entries after ``after`` and all new ones. A ``gap`` event says that some are no longer stored."""
    with broadcaster.subscribed() as coming:
        last = after
        yield f"id: {last}\n\n".encode()  # a client that is disconnected before the first event resumes from here
        oldest, end = await anyio.to_thread.run_sync(lambda: (records.feed_begin(), records.feed_end()))
        begun_anew = entry_order(after) > entry_order(end)  # the feed was emptied or its clock went back
        if begun_anew or (oldest is not None and (0, 0) < entry_order(after) < entry_order(oldest)):
            yield event(msgspec.json.encode({"oldest": oldest or end}), name="gap")
        if begun_anew:
            last = "0-0"
        while page := await anyio.to_thread.run_sync(records.feed_page, last, PAGE):
            for item in page:
                yield _event(item)
            last = page[-1].id
        while (fresh := await coming.get()) is not None:
            if entry_order(fresh.id) > entry_order(last):
                yield _event(fresh)


def _event(item: FeedItem) -> bytes:
    if item.record is None:
        return event(msgspec.json.encode(item.removed), name="removed", id=item.id)
    return event(public_json(item.record), name=item.record.state, id=item.id)


def router(records: Records, broadcaster: Broadcaster, access: Access, streams: Streams) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["feed"])

    @routes.get(
        "/v1/feed", **responses.stream(400, 422, 429, 503), dependencies=[Depends(access.needing(Scope.READ))],
        operation_id="watchFeed", summary="Watch finished objects",
    )  # fmt: skip
    async def feed(last: Annotated[str | None, Header(alias="Last-Event-ID")] = None) -> Response:
        """Finished and removed objects as server-sent events. Send `Last-Event-ID` to resume after an event.

        The event `gap` says that some events since then are no longer stored.
        """
        if last is not None and (not _ID.fullmatch(last) or max(entry_order(last)) > LARGEST):
            raise Problem("bad-request", "the Last-Event-ID is not valid")
        # read the position before the response starts: after the headers no event may be missed
        after = last if last is not None else await anyio.to_thread.run_sync(records.feed_end)
        return streams.response(items(records, broadcaster, after))

    return routes
