"""Send requests over keep-alive connections, and measure the response times.

It writes HTTP/1.1 directly, since a client library would use more CPU than the gateway that is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from urllib.parse import quote_plus

import msgspec

TOKEN = "bench-token"  # noqa: S105 -- of the benchmark's own gateway


class Run(msgspec.Struct, frozen=True):
    """``offered``: requests per second; ``None`` if each connection sent as fast as possible. Latencies are measured
    from the time a request was due to its response, so waiting for a connection counts.
    """

    offered: int | None
    seconds: float
    accepted: int
    refused: int
    per_second: float
    p50_ms: float
    p99_ms: float
    worst_ms: float

    def __str__(self) -> str:
        offer = f"{self.offered}/s offered" if self.offered else "as fast as it goes"
        return (f"{offer}: {self.per_second:.0f}/s accepted, {self.refused} refused, "
                f"p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, worst {self.worst_ms:.1f} ms")  # fmt: skip


async def offered(
    port: int, rate: int | None, seconds: float, connections: int, request: Callable[[int], bytes], accepted: bytes
) -> Run:
    """Send for ``seconds``: ``rate`` requests per second, or without a rate as many as possible.

    ``request``: the bytes of the request with a number; ``accepted``: the status of its answer.
    """
    sender = _Sender(seconds, rate, request, accepted)
    async with asyncio.TaskGroup() as group:
        if rate:
            group.create_task(sender.pace(rate, connections))
        for _ in range(connections):
            group.create_task(sender.send(port))
    return sender.run()


class _Sender:
    def __init__(self, seconds: float, rate: int | None, request: Callable[[int], bytes], accepted: bytes) -> None:
        self._rate = rate
        self._request = request
        self._accepted = accepted
        self._began = time.perf_counter()
        self._until = self._began + seconds
        self._due: asyncio.Queue[float | None] = asyncio.Queue()
        self._number = 0
        self._took: list[float] = []
        self._refused = 0

    async def pace(self, rate: int, connections: int) -> None:
        """Schedule each request, then end all connections."""
        sent = 0
        while (now := time.perf_counter()) < self._until:
            while sent < (now - self._began) * rate:
                self._due.put_nowait(self._began + sent / rate)
                sent += 1
            await asyncio.sleep(0.001)
        for _ in range(connections):
            self._due.put_nowait(None)

    async def send(self, port: int) -> None:
        """One connection: send a request, wait for its response, repeat."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (at := await self._next()) is not None:
            self._number += 1
            writer.write(self._request(self._number))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
            await reader.readexactly(length)
            if head.split(b" ", 2)[1] == self._accepted:
                self._took.append(time.perf_counter() - at)
            else:
                self._refused += 1
        writer.close()

    async def _next(self) -> float | None:
        if self._rate:
            return await self._due.get()
        now = time.perf_counter()
        return now if now < self._until else None

    def run(self) -> Run:
        """The figures."""
        lasted = time.perf_counter() - self._began
        took = sorted(self._took) or [0.0]
        p50, p99, worst = (round(took[min(len(took) - 1, int(len(took) * q))] * 1000, 2) for q in (0.5, 0.99, 1.0))
        count = len(self._took)
        return Run(self._rate, round(lasted, 2), count, self._refused, round(count / lasted, 1), p50, p99, worst)


def notification(number: int) -> bytes:
    """A webhook request for one uploaded object, with all fields that a server sends."""
    key = f"été 2026/photo {number}.jpg"
    body = msgspec.json.encode({
        "EventName": "s3:ObjectCreated:Put", "Key": f"images/{key}",
        "Records": [{
            "eventVersion": "2.0", "eventSource": "minio:s3", "awsRegion": "",
            "eventTime": "2026-01-02T03:04:05.678Z",
            "eventName": "s3:ObjectCreated:Put", "userIdentity": {"principalId": "camera"},
            "requestParameters": {"principalId": "camera", "region": "", "sourceIPAddress": "192.0.2.7"},
            "responseElements": {"x-amz-id-2": "0" * 64, "x-amz-request-id": f"{number:016X}",
                                 "x-minio-deployment-id": "-", "x-minio-origin-endpoint": "http://192.0.2.1:9000"},
            "s3": {
                "s3SchemaVersion": "1.0", "configurationId": "Config",
                "bucket": {"name": "images", "ownerIdentity": {"principalId": "camera"},
                           "arn": "arn:aws:s3:::images"},
                "object": {"key": quote_plus(key), "size": 100_000 + number, "eTag": f"{number:032x}",
                           "contentType": "image/jpeg", "userMetadata": {"content-type": "image/jpeg"},
                           "sequencer": f"{number:016X}"},
            },
            "source": {"host": "192.0.2.7", "port": "", "userAgent": "camera/1.0"},
        }],
    })  # fmt: skip
    head = (f"POST /v1/events/minio HTTP/1.1\r\nHost: gateway\r\nUser-Agent: Go-http-client/1.1\r\n"
            f"Content-Length: {len(body)}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
            "Accept-Encoding: gzip\r\n\r\n")  # fmt: skip
    return head.encode() + body


def upload(image: bytes) -> Callable[[int], bytes]:
    """Requests that upload an image."""
    head = f"POST /v1/images HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(image)}\r\n\r\n"
    request = head.encode() + image
    return lambda _: request
