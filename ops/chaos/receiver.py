"""A receiver of webhooks that fails at times, and remembers what it has accepted."""

from __future__ import annotations

import base64
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ops.chaos.http_server import Handler, serving

SIGNING = "whsec_" + base64.b64encode(b"nobody's secret, of a test run").decode()


class Receiver:
    """What was accepted: ``versions``, ids of objects with the ETag of a record; ``removed``, ids of objects."""

    def __init__(self, seed: int, fails: float) -> None:
        self.url = ""
        self.versions: set[tuple[str, str]] = set()
        self.removed: set[str] = set()
        self.repeated = 0
        self._seen: set[str] = set()
        self._fails = fails
        self._chance = random.Random(seed)
        self._lock = threading.Lock()

    def settings(self) -> dict[str, str]:
        """The variables with which a stack delivers to it."""
        return {
            "WILDTAG_NOTIFY_URL": self.url, "WILDTAG_NOTIFY_SECRET": SIGNING, "WILDTAG_OUTGOING_ALLOW": "127.0.0.1",
            "WILDTAG_NOTIFY_EVENTS": "object.*",
        }  # fmt: skip

    def fail_no_more(self) -> None:
        """Accept every delivery from now on. Those that failed often before come only after minutes."""
        with self._lock:
            self._fails = 0.0

    def accept(self, delivery: str, body: bytes) -> int:
        """Take a delivery, or not. Returns the status."""
        with self._lock:
            if self._chance.random() < self._fails:
                return 503
            self.repeated += delivery in self._seen
            self._seen.add(delivery)
            event = json.loads(body)
            data = event["data"]
            oid = f"{data.get('bucket')}/{data.get('key')}"
            if event["type"] == "object.removed":
                self.removed.add(oid)
            elif event["type"].startswith("object."):
                self.versions.add((oid, data["etag"]))
            return 204


@contextmanager
def receiving(seed: int, fails: float) -> Iterator[Receiver]:
    """A receiver on a free port of the loopback address. ``fails``: share of requests answered by an error."""
    state = Receiver(seed, fails)
    with serving(_Handler, state) as port:
        state.url = f"http://127.0.0.1:{port}/hook"
        yield state


class _Handler(Handler):
    state: Receiver

    def do_POST(self) -> None:  # noqa: N802 -- the name that http.server calls
        self.finish_empty(self.state.accept(self.headers.get("webhook-id", ""), self.body()))
