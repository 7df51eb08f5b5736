"""The attacker of ``ops.chaos`` against a gateway in a process of its own, and against one that does all wrong."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from ops.chaos.attacker import Attacker, Report
from ops.chaos.hostile_requests import KINDS, Known, stream
from tests.attack.gateway_process import ADMIN, Attacked, attacked
from tests.contract.gateway.running import Running, emptied, running, wired
from tests.contract.gateway.test_captions import WithWorker
from workers.gateway.api_keys import Scope
from workers.wiring.gateway import caption_service

LOCKED: dict[str, Any] = {"key_required": True, "admin_key": ADMIN}
TOKEN = "a-token-of-an-attack"  # noqa: S105 -- opens nothing but the gateway of this test


def sent(gateway: Attacked | Running, turns: int, seed: int) -> Report:
    """All kinds of requests to a gateway, so many times."""
    key = gateway.wiring.api_keys.create("attacker", Scope.WRITE)
    secrets = (ADMIN, TOKEN, str(gateway.wiring.settings.home), gateway.wiring.settings.redis_url)
    attacker = Attacker(gateway.url, key, seed, secrets=secrets, rate=1000)
    attacker.prepare()
    left = iter(range(turns * len(KINDS)))
    report = attacker.run(lambda: next(left, None) is None)
    assert attacker.withdraw() == []
    return report


def test_no_hostile_request_is_answered_wrongly(tmp_path: Path, redis_url: str) -> None:
    wiring = wired(tmp_path, redis_url, WithWorker, webhook_token=TOKEN, **LOCKED)
    with running(wiring, replaced={"captions": caption_service(wiring, patience_s=0.1)}) as gateway:
        emptied(gateway)
        report = sent(gateway, turns=6, seed=1)
    assert [(one.what, one.status, one.request[:500], one.body) for one in report.violations] == []
    assert set(report.sent) == set(KINDS)
    assert {400, 401, 403, 404, 405, 413, 415, 422} <= set(report.answers)
    assert len(report.created) >= 3
    assert not [path for path in (tmp_path / "inbox").rglob("*") if path.suffix == ".png"]


@pytest.mark.long
def test_nor_is_any_of_thousands(tmp_path: Path, redis_url: str) -> None:
    with attacked(tmp_path, redis_url, webhook_token=TOKEN, **LOCKED) as gateway:  # in a process of its own
        report = sent(gateway, turns=150, seed=2)
    assert [(one.what, one.status, one.request[:500], one.body) for one in report.violations] == []


def test_the_same_seed_sends_the_same_requests() -> None:
    first, second = (
        [request.wire(b"h") for request in islice(stream(random.Random(7), Known("k", "b")), 100)] for _ in range(2)
    )
    assert first == second


class _Wrong(BaseHTTPRequestHandler):
    """Answers everything with success, as a page that has what was sent in it, and software that it names."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"<html>{self.path}<script>wildtag(1)</script> Traceback (most recent call last) {TOKEN}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Set-Cookie", "a=b")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_DELETE = do_GET  # noqa: N815 -- of the library

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def wrong() -> Iterator[str]:
    """The address of a server that does everything wrong."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Wrong)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_is_wrong_is_noted(wrong: str) -> None:
    attacker = Attacker(wrong, "a-key", 3, secrets=[TOKEN], rate=1000)
    attacker.attack(KINDS["admin"](random.Random(1), Known("a-key", "b")))
    found = " ".join(one.what for one in attacker.report.violations)
    for what in ("x-content-type-options", "allows frames", "caches may store", "names its software: server",
                 "without a charset", "lacks httponly", "what is inside", "a secret is in the body",
                 "came back as a page", "it succeeded"):  # fmt: skip
        assert what in found
    assert all('"target": "/' in one.request and "a-key" not in one.request for one in attacker.report.violations)


def test_a_gateway_that_is_away_is_a_violation_only_while_it_should_be_there() -> None:
    request = KINDS["admin"](random.Random(1), Known("a-key", "b"))
    for healthy, expected in ((True, ["the gateway does not listen"]), (False, [])):
        attacker = Attacker("http://127.0.0.1:1", "a-key", 1, healthy=partial(bool, healthy))
        attacker.attack(request)
        assert ([one.what for one in attacker.report.violations], attacker.report.away) == (expected, 1)
