"""What requests want stored travels together, and each hears of its own fate."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.unit.events.samples import BUCKET
from workers.events.sink import ReceivedEvents
from workers.gateway.batching_writer import MOST_WAITING, BatchingWriter
from workers.lifecycle.event import ObjectEvent
from workers.redis.connection import Client, StoreUnavailable, connect_async
from workers.redis.keys import Keys

MEGABYTE = 2**20


def received_events(number: int) -> ReceivedEvents:
    return ReceivedEvents((ObjectEvent("created", BUCKET, str(number)),), {"test:events": 1})


def run(redis_url: str, keys: Keys, use: Callable[[BatchingWriter], Awaitable[None]]) -> None:
    async def main() -> None:
        batching_writer = BatchingWriter(connect_async(redis_url), keys)
        try:
            await use(batching_writer)
        finally:
            await batching_writer.close()

    asyncio.run(main())


def test_what_waits_together_travels_together(redis_url: str, client: Client, keys: Keys) -> None:
    async def use(batching_writer: BatchingWriter) -> None:
        await asyncio.gather(*(batching_writer.put(received_events(number), 100) for number in range(2000)))

    client.config_resetstat()
    run(redis_url, keys, use)
    assert client.xlen(keys.inbox) == 2000
    # counts are added up before they are sent: so many additions, so many round trips
    assert client.info("commandstats")["cmdstat_hincrby"]["calls"] <= 10
    assert client.hget(keys.event_counts, "test:events") == b"2000"


def test_one_that_gives_up_takes_nobody_along(redis_url: str, client: Client, keys: Keys) -> None:
    async def use(batching_writer: BatchingWriter) -> None:
        waiting = [asyncio.create_task(batching_writer.put(received_events(number), 100)) for number in range(10)]
        await asyncio.sleep(0)
        waiting[3].cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(x) for x in done] == [asyncio.CancelledError if i == 3 else type(None) for i in range(10)]

    run(redis_url, keys, use)
    assert client.xlen(keys.inbox) >= 9


def test_while_redis_is_slow_only_so_much_waits(redis_url: str, client: Client, keys: Keys) -> None:
    async def use(batching_writer: BatchingWriter) -> None:
        await batching_writer.reachable()
        client.client_pause(300)
        many = MOST_WAITING // MEGABYTE + 5
        done = await asyncio.gather(
            *(batching_writer.put(received_events(number), MEGABYTE) for number in range(many)),
            return_exceptions=True,
        )
        assert sum(isinstance(x, StoreUnavailable) for x in done) == 5
        await batching_writer.put(received_events(0), MEGABYTE)  # there is room again

    run(redis_url, keys, use)


def test_without_redis_everybody_hears_of_it(keys: Keys) -> None:
    async def use(batching_writer: BatchingWriter) -> None:
        done = await asyncio.gather(
            *(batching_writer.put(received_events(n), 1) for n in range(5)), return_exceptions=True
        )
        assert [type(x) for x in done] == [StoreUnavailable] * 5

    run("unix:///nobody/listens/here.sock", keys, use)
