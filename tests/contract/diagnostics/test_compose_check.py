"""The script that checks a Compose stack makes enough secrets, puts a photograph and waits for a final state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml

from ops.compose_check import KEY, PUT, ROOT, await_record, filled, value
from tests.contract.real_servers import key_pair
from tests.contract.s3_server import store_at

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


def test_it_puts_a_photograph_with_what_the_container_is_told(moto_url: str) -> None:
    """The variables are those that docker-compose.yml gives the dispatcher."""
    access_key, secret_key = key_pair(moto_url)
    variables = {
        "WILDTAG_S3_ENDPOINT": moto_url, "WILDTAG_S3_REGION": "us-east-1", "WILDTAG_BUCKET": "compose-check",
        "WILDTAG_S3_ACCESS_KEY": access_key, "WILDTAG_S3_SECRET_KEY": secret_key,
    }  # fmt: skip
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["dispatcher"]
    assert set(variables) <= set(service["environment"])
    store = store_at(moto_url, "compose-check")
    store.connection.client.make_bucket("compose-check")
    done = subprocess.run(
        [sys.executable, "-c", PUT, KEY], env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = store.connection.client.stat_object("compose-check", KEY)
    assert (found.content_type, (found.size or 0) > 100_000) == ("image/png", True)


def test_it_waits_while_the_object_is_unknown_or_on_its_way() -> None:
    done: dict[str, object] = {"state": "done", "record": {"tags": [{"label": "cat"}]}}
    with gateway([(503, {}), (404, {}), (200, {"state": "queued", "record": None}), (200, done)]) as (address, shown):
        assert await_record(address, "key", patience_s=20, rest_s=0.01) == done
    assert shown == ["Bearer key"] * 4


def test_it_gives_up_with_the_last_answer() -> None:
    with gateway([(404, {})]) as (address, _), pytest.raises(TimeoutError, match="status 404"):
        await_record(address, "key", patience_s=0.1, rest_s=0.01)
