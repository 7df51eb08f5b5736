"""An attacker with an API key of the scope ``write``, beside the load: hostile requests at a bounded rate.

Notes each violation: a fault (5xx, apart from 501, and 503 or 507 with Retry-After), an answer without security
headers, an answer that is late, input that comes back as a page, a secret, a path or a traceback in an answer,
success of what must not succeed, and an object of its own that is changed without a request that may change it.

Call ``prepare``, ``run``, and at the end ``withdraw``.

``python -m ops.chaos.attacker URL`` attacks a running gateway; the key is read from ``WILDTAG_API_KEY``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from http.client import HTTPException, HTTPResponse
from urllib.parse import urlsplit

from ops.chaos.hostile_parts import MARK
from ops.chaos.hostile_requests import Hostile, Known, own_upload, shown, stream
from ops.chaos.passive_rules import Answer, faults

LATE_S = 30.0  # until an answer to a complete request is late; a search waits 20 s for a worker
HELD = 8  # connections with unfinished requests at the same time
HELD_S = 3.0  # for which each is kept
GLANCE_S = 0.2  # for which an answer to an unfinished request is awaited
MOST = 2**20  # bytes of a body that are read
OWN = 3  # uploads that must stay as they are
_RETRY = {503, 507}
_UNAVAILABLE = 501


@dataclass(frozen=True)
class Violation:
    """``request``: as JSON, to be sent again. ``status``: 0 without an answer."""

    what: str
    request: str
    status: int
    headers: list[list[str]] = field(default_factory=list)
    body: str = ""


@dataclass
class Report:
    """``sent``: requests by kind. ``answers``: by status; 0: none. ``created``: ids of uploads that were accepted."""

    sent: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    away: int = 0

    def row(self) -> dict[str, object]:
        """For a report in JSON."""
        return {
            "sent": dict(self.sent),
            "answers": {str(status): count for status, count in sorted(self.answers.items())},
            "away": self.away, "created": self.created, "violations": [asdict(one) for one in self.violations],
        }  # fmt: skip


class Attacker:
    """One attacker. ``url``: of the gateway. ``key``: of the scope ``write``. ``rate``: requests per second.

    ``secrets``: texts that no answer may contain, besides the key. ``healthy``: whether answers are due now; while
    it is false, missing and late answers are only counted. For one thread.
    """

    def __init__(
        self, url: str, key: str, seed: int, *, bucket: str = "inbox", rate: float = 20.0,
        secrets: Sequence[str] = (),
        healthy: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._host = parts.netloc.encode()
        self._chance = random.Random(seed)
        self._known = Known(key, bucket)
        self._pause_s = 1 / rate
        self._secrets = [key, *secrets]
        self._healthy = healthy
        self._held: list[tuple[float, socket.socket, Hostile]] = []
        self._kept: dict[str, str] = {}  # ETags of the originals of its own uploads
        self.report = Report()

    def prepare(self) -> None:
        """Upload images of its own, sign in, and ask for cursors. Raises ``OSError`` if the gateway is away."""
        for number in range(OWN):
            answer = self._ask(own_upload(self._chance, self._known, b"attacker" if number == 0 else b""))
            if answer is not None and answer.status == 202 and answer.body:
                self._known.own.append(json.loads(answer.body)["id"])
        body = json.dumps({"key": self._known.key}).encode()
        json_ = [(b"Content-Type", b"application/json")]
        answer = self._ask(Hostile("sign in", b"POST", b"/v1/session", json_, body))
        cookies = [value.partition(";")[0] for value in (answer.values("set-cookie") if answer else [])]
        self._known.cookie = "; ".join(one for one in cookies if "session" in one)
        for path in (b"/v1/objects?limit=1", b"/v1/tags?limit=1"):
            answer = self._ask(Hostile("cursors", b"GET", path, [self._known.bearer]))
            if (
                answer is not None
                and answer.status == 200
                and (cursor := json.loads(answer.body or b"{}").get("next"))
            ):
                self._known.cursors.append(cursor)
        self._kept = {name: self._etag(name) for name in self._known.own}

    def run(self, ended: Callable[[], bool]) -> Report:
        """Send requests until ``ended`` says so, then look whether its own uploads are as they were."""
        due = time.monotonic()
        for request in stream(self._chance, self._known):
            if ended():
                break
            self.attack(request)
            due = max(due + self._pause_s, time.monotonic() - 1)  # does not make up for long waits
            time.sleep(max(0.0, due - time.monotonic()))
        self.finish()
        return self.report

    def attack(self, request: Hostile) -> None:
        """Send one request, and judge the answer."""
        self.report.sent[request.kind] += 1
        self._let_go(time.monotonic())
        with suppress(OSError):
            self._ask(request)

    def finish(self) -> None:
        """Close what is held, and compare its own uploads."""
        self._let_go(float("inf"))
        for name, before in self._kept.items():
            with suppress(OSError):
                if self._healthy() and before and (now := self._etag(name)) != before:
                    self.report.violations.append(Violation(f"an object changed: {before} is {now}", name, 0))

    def withdraw(self) -> list[str]:
        """Delete its uploads, so that they are not taken for objects of others. Returns the ids that stay."""
        stay = []
        for name in self.report.created:
            status = 0
            with suppress(OSError):
                answer = self._ask(Hostile("own", b"DELETE", f"/v1/images/{name}".encode(), [self._known.bearer]))
                status = answer.status if answer else 0
            if status not in {204, 404}:
                stay.append(name)
        return stay

    def _etag(self, name: str) -> str:
        target = f"/v1/objects/{self._known.bucket}/uploads/{name}:content".encode()
        answer = self._ask(Hostile("own", b"GET", target, [self._known.bearer]))
        return "" if answer is None or answer.status in {429, *_RETRY} else f"{answer.status} {answer.one('etag')}"

    def _ask(self, request: Hostile) -> Answer | None:
        healthy, began = self._healthy(), time.monotonic()
        try:
            connection = socket.create_connection(self._address, timeout=LATE_S)
        except OSError:
            self.report.away += 1
            if healthy and self._healthy():
                self._violated("the gateway does not listen", request)
            raise
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # refused before all was sent: the answer is there
                connection.sendall(request.wire(self._host))
            if request.waits:
                connection.settimeout(GLANCE_S)
            answer = self._answer(connection, request)
        except TimeoutError:
            if request.waits and len(self._held) < HELD:
                self._held.append((began + HELD_S, connection, request))
                return None
            answer = None
            if not request.waits and healthy and self._healthy():
                self._violated(f"no answer within {LATE_S:g} s", request)
        except (OSError, HTTPException) as exc:
            answer = None
            if not request.waits and healthy and self._healthy():
                self._violated(f"no whole answer: {type(exc).__name__}", request)
        connection.close()
        self.report.answers[answer.status if answer else 0] += 1
        if answer is not None:
            self._judge(request, answer, time.monotonic() - began if healthy and self._healthy() else 0.0)
        return answer

    def _let_go(self, now: float) -> None:
        """Close connections that were held long enough, and judge what they were answered."""
        kept = []
        for until, connection, request in self._held:
            if until > now:
                kept.append((until, connection, request))
                continue
            connection.settimeout(0.01)
            with suppress(OSError, HTTPException):
                answer = self._answer(connection, request)
                self.report.answers[answer.status] += 1
                self._judge(request, answer, 0.0)
            connection.close()
        self._held = kept

    def _answer(self, connection: socket.socket, request: Hostile) -> Answer:
        response = HTTPResponse(connection, method=request.method.decode("latin-1"))
        response.begin()
        body = b""
        if "event-stream" not in (response.getheader("content-type") or ""):
            body = response.read(MOST)
        path = request.target.partition(b"?")[0].decode("latin-1")
        return Answer(path, response.status, response.getheaders(), body)

    def _judge(self, request: Hostile, answer: Answer, seconds: float) -> None:
        wrong = faults(answer, self._secrets)
        if answer.status >= 500 and answer.status not in {_UNAVAILABLE, *_RETRY}:
            wrong.append("a fault")
        if seconds > LATE_S:
            wrong.append(f"an answer after {seconds:.0f} s")
        if answer.body and MARK.encode() in answer.body and not answer.one("content-type").startswith("application/"):
            wrong.append("input came back as a page")
        if answer.status == 202 and request.target == b"/v1/images" and answer.body:
            with suppress(ValueError, KeyError):
                self.report.created.append(json.loads(answer.body)["id"])
        if request.never and answer.status < 300:
            wrong.append("it succeeded")
        for what in wrong:
            self._violated(what, request, answer)

    def _violated(self, what: str, request: Hostile, answer: Answer | None = None) -> None:
        found = Violation(what, shown(request), 0)
        if answer is not None:
            body = (answer.body or b"")[:500].decode("latin-1")
            found = Violation(what, shown(request), answer.status, [list(pair) for pair in answer.headers], body)
        self.report.violations.append(found)


def main(arguments: list[str] | None = None) -> int:
    """Attack a gateway. Returns the exit status: 1 if there was a violation."""
    parser = argparse.ArgumentParser(prog="python -m ops.chaos.attacker", description=__doc__)
    parser.add_argument("url", help="of the gateway, such as http://127.0.0.1:8080")
    parser.add_argument("--seconds", type=float, default=60.0, help="duration (default 60)")
    parser.add_argument("--rate", type=float, default=20.0, help="requests per second (default 20)")
    parser.add_argument("--seed", type=int, default=1, help="of the requests (default 1)")
    parser.add_argument("--bucket", default="inbox", help="name of the bucket (default inbox)")
    given = parser.parse_args(arguments)
    attacker = Attacker(given.url, os.environ["WILDTAG_API_KEY"], given.seed, bucket=given.bucket, rate=given.rate)
    attacker.prepare()
    until = time.monotonic() + given.seconds
    report = attacker.run(lambda: time.monotonic() > until)
    attacker.withdraw()
    print(json.dumps(report.row(), indent=2))
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
