"""The script that checks a stack of Compose: its secrets are enough, and it waits for a final state."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ops.compose_check import ROOT, await_record, filled, value

EXAMPLE = (ROOT / ".env.example").read_text()


@contextmanager
def gateway(answers: list[tuple[int, dict[str, object]]]) -> Iterator[tuple[str, list[str]]]:
    """Gives one answer after the other, the last one again and again; and what requests have shown."""
    shown: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(self.headers["Authorization"])
            status, body = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Not on standard error."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/objects/inbox/a.jpg", shown
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_every_secret_is_given_a_value_of_its_own_and_defaults_stay() -> None:
    env = filled(EXAMPLE)
    names = [line[:-1] for line in EXAMPLE.splitlines() if line.endswith("=") and not line.startswith("#")]
    values = [value(env, name) for name in names]
    assert len(set(values)) == len(values) > 5
    assert all(len(one) >= 48 for one in values)
    assert value(env, "WILDTAG_FLOWER_AUTH").startswith("check:")
    assert [line for line in env.splitlines() if line.startswith("#")] == [
        line for line in EXAMPLE.splitlines() if line.startswith("#")
    ]


def test_it_waits_while_the_object_is_unknown_or_on_its_way() -> None:
    done: dict[str, object] = {"state": "done", "record": {"tags": [{"label": "cat"}]}}
    with gateway([(503, {}), (404, {}), (200, {"state": "queued", "record": None}), (200, done)]) as (address, shown):
        assert await_record(address, "key", patience_s=20, rest_s=0.01) == done
    assert shown == ["Bearer key"] * 4


def test_it_gives_up_with_the_last_answer() -> None:
    with gateway([(404, {})]) as (address, _), pytest.raises(TimeoutError, match="status 404"):
        await_record(address, "key", patience_s=0.1, rest_s=0.01)
