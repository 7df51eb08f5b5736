"""The real stack over an S3 server and a Qdrant server that may go away: how long pictures wait then."""

from __future__ import annotations

import io
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from minio import Minio
from PIL import Image

from ops.bench.moto_server import moto
from tasks.encoders import space_of
from tests.acceptance.images import photograph
from tests.acceptance.stack import Json, Stack
from tests.contract.made_up_qdrant import MadeUpQdrant
from tests.contract.tcp_proxy import TcpProxy
from tests.eventually import eventually
from workers.supervision.supervisor import read_stack

BUCKET = "photos"


class World:
    """``put`` stores a picture beside the proxy and notifies the gateway, as MinIO does, until it is accepted."""

    def __init__(self, stack: Stack, bucket: Minio, store: TcpProxy, qdrant: MadeUpQdrant) -> None:
        self.stack = stack
        self.bucket = bucket
        self.store = store
        self.qdrant = qdrant
        info = read_stack(stack.home)
        assert info is not None
        self.gateway = info.addresses["gateway"]
        self._number = count()
        cat = Image.open(io.BytesIO(photograph("chelsea.png")))
        self._cats = [cat.crop((i, 0, i + 200, 200)) for i in range(100)]

    def put(self) -> str:
        """The key of a new picture that the gateway knows of."""
        number = next(self._number)
        out = io.BytesIO()
        self._cats[number % 100].save(out, "JPEG", quality=50 + number // 100)
        key = f"{number}.jpg"
        out.seek(0)
        etag = self.bucket.put_object(BUCKET, key, out, len(out.getvalue())).etag
        told_of = {"key": key, "eTag": etag, "size": len(out.getvalue()), "sequencer": f"{number + 1:016X}"}
        event = {"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": told_of}}
        body = json.dumps({"EventName": event["eventName"], "Key": f"{BUCKET}/{key}", "Records": [event]}).encode()

        def accepted() -> bool:
            request = urllib.request.Request(f"{self.gateway}/v1/events/minio", body, method="POST")
            try:
                with urllib.request.urlopen(request, timeout=5):
                    return True
            except OSError:
                return False

        eventually(accepted, 300, lambda: f"the gateway does not take {key}")
        return key

    def await_records(self, keys: list[str], patience: float) -> float:
        """Seconds until each of these is done."""
        began = time.monotonic()
        wanted = set(keys)

        def done() -> bool:
            known = self.stack.known()
            bad = {key: known[key] for key in wanted & known.keys() if known[key]["state"] != "done"}
            assert not bad, bad
            return wanted <= known.keys()

        eventually(done, patience, self.stack.said)
        return time.monotonic() - began

    def status(self) -> Json:
        """What ``GET /v1/status`` says."""
        with urllib.request.urlopen(f"{self.gateway}/v1/status", timeout=10) as answer:
            status: Json = json.loads(answer.read())
        return status

    def ready(self) -> tuple[int, Json]:
        """What ``GET /readyz`` says."""
        try:
            with urllib.request.urlopen(f"{self.gateway}/readyz", timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as exc:
            return exc.code, json.loads(exc.read())

    def family(self, service: str) -> int:
        """The process of a service of the stack, below the one that starts it."""
        return self.stack.process(service)


@contextmanager
def world(prepared: Path, home: Path, **settings: str) -> Iterator[World]:
    """A stack over all of it; ``prepared`` gives it what an encoder keeps on disk."""
    shutil.copytree(prepared, home)
    space = space_of("bundled")
    qdrant = MadeUpQdrant(space.id, space.dimension)
    qdrant.start()
    with moto() as server:
        place = urlsplit(server)
        proxy = TcpProxy(place.hostname or "", place.port or 0)
        bucket = Minio(place.netloc, "AKIATEST", "secret", secure=False, region="us-east-1")
        bucket.make_bucket(BUCKET)
        stack = Stack(
            home, WILDTAG_QDRANT_URL=qdrant.url, WILDTAG_QDRANT_GRPC_PORT="0",
            WILDTAG_S3_ENDPOINT=f"http://127.0.0.1:{proxy.port}", WILDTAG_S3_ACCESS_KEY="AKIATEST",
            WILDTAG_S3_SECRET_KEY="secret",  # noqa: S106 -- moto takes any
            WILDTAG_BUCKET=BUCKET, WILDTAG_RESCAN_S="3600", **settings,
        )  # fmt: skip
        try:
            stack.start()
            yield World(stack, bucket, proxy, qdrant)
        finally:
            stack.kill()
            proxy.close()
            qdrant.stop()
