"""A backup of a running stack, while images come in, is restored into an empty home under another prefix."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import ROOT, Stack
from tests.acceptance.test_nothing_is_lost import variants
from tests.acceptance.test_teaching import cropped, follows, taught
from tests.eventually import eventually
from workers.redis.connection import connect, text
from workers.redis.keys import Keys

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

OTHER = "{restored}:"
QUIET = {"WILDTAG_RESCAN_S": "3600", "WILDTAG_GRACE_S": "2"}


def command(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in the home of a stack that is down."""
    return subprocess.run(
        [sys.executable, "-m", "workers.cli", *arguments], env=stack.environment, cwd=ROOT, check=False, text=True,
        capture_output=True, timeout=300,
    )  # fmt: skip


def asked(stack: Stack, path: str, key: str | None = None) -> Any:
    """The JSON that the gateway answers."""
    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": "203.0.113.7"} if key else {}
    request = urllib.request.Request(f"{stack.info().addresses['gateway']}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def in_use(stack: Stack) -> tuple[dict[str, Any], str, str]:
    """Start a stack, and put something of everything into it: its records, an API key, and the id of a batch."""
    stack.start()
    drop(stack.inbox, "cat.png", photograph("chelsea.png"))
    drop(stack.inbox, "cat again.png", cropped("chelsea.png", 0.04))
    for name in ("rocket.jpg", "coffee.png"):
        drop(stack.inbox, name, photograph(name))
    drop(stack.inbox, "text.jpg", b"no image")
    stack.settled(5)
    taught(stack, "cat.png", "Chelsea")
    follows(stack, "cat again.png", "Chelsea")
    stack.wildtag("captions", "add", "a photo of a moka pot")
    secret = stack.wildtag("keys", "create", "for me", "--scope", "read").stdout.split()[-1]
    request = urllib.request.Request(
        f"{stack.info().addresses['gateway']}/v1/batches", data=b'{"keys": ["cat.png", "rocket.jpg"]}',
        headers={"Content-Type": "application/json"}, method="POST",
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=10) as answer:
        batch = json.load(answer)["id"]
    eventually(lambda: asked(stack, f"/v1/batches/{batch}")["finished"], 60, stack.said)
    return stack.settled(5), secret, batch


def test_a_stack_is_restored_elsewhere_and_finds_what_has_changed_since(
    make_stack: Callable[..., Stack], tmp_path: Path
) -> None:
    stack = make_stack("first", **QUIET)
    before, secret, batch = in_use(stack)
    to = tmp_path / "backups"
    for n, data in enumerate(variants(20)):
        drop(stack.inbox, f"{n}.jpg", data)
    eventually(lambda: stack.tally()["in_flight"] > 0, 30, stack.said, every_s=0.01)
    made = json.loads(stack.wildtag("backup", str(to), "--json").stdout)
    assert (made["statements"], made["api_keys"], made["batches"]) == (1, 1, 1), made
    refused = stack.wildtag("restore", str(to), check=False)
    assert "a stack is running" in refused.stderr
    stack.settled(25)
    assert stack.stop() < 10
    assert command(stack, "backup", str(to), "--keep", "2").returncode == 0  # of a home that is down
    assert "all as they were written" in command(stack, "backups", "verify", str(to)).stdout

    other = make_stack("second", WILDTAG_KEY_PREFIX=OTHER, **QUIET)
    shutil.copytree(stack.inbox, other.inbox, dirs_exist_ok=True)
    drop(other.inbox, "new.jpg", photograph("motorcycle_left.png"))
    (other.inbox / "coffee.png").unlink()
    drop(other.inbox, "rocket.jpg", photograph("astronaut.png"))  # another picture now
    done = command(other, "restore", f"{to}/{made['backup']}", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["differences"] == []
    refused = command(other, "restore", str(to))
    assert refused.returncode == 1
    assert "already" in refused.stderr

    other.start()
    redis, keys = connect(other.info().addresses["redis"]), Keys(OTHER)
    expected = {*before, *(f"{n}.jpg" for n in range(20)), "new.jpg"} - {"coffee.png"}
    eventually(lambda: not redis.exists(keys.refill), 120, other.said)
    eventually(lambda: {text(oid) for oid in redis.zrange(keys.objects, 0, -1)} == {f"inbox/{k}" for k in expected},
               120, other.said)  # fmt: skip
    eventually(lambda: not redis.exists(keys.ledger, keys.inbox) or redis.zcard(keys.ledger) == 0, 120, other.said)
    after = {row["key"]: row for row in map(json.loads, other.wildtag("results", "--json").stdout.splitlines())}
    assert after.keys() == expected
    assert after["cat.png"] == before["cat.png"]
    assert after["text.jpg"] == before["text.jpg"]
    assert after["rocket.jpg"]["etag"] != before["rocket.jpg"]["etag"]
    assert "Chelsea" in {tag["label"] for tag in after["cat again.png"]["tags"]}
    goes_on(other, secret, batch)
    eventually(lambda: int(redis.zcard(keys.records)) == 26, 60, other.said)
    assert not redis.exists(keys.holds, Keys("wildtag:").records)
    assert other.stop() < 10


def goes_on(stack: Stack, secret: str, batch: str) -> None:
    """The key works, the batch is readable, images and captions are found, and another image is tagged."""
    assert asked(stack, "/v1/objects/inbox/cat.png", secret)["key"] == "cat.png"
    assert asked(stack, f"/v1/batches/{batch}")["counts"].get("done") == 2
    found = json.loads(stack.wildtag("find", "Chelsea", "--json").stdout.splitlines()[0])
    assert found["key"] in {"cat.png", "cat again.png"}
    assert "moka pot" in stack.wildtag("captions", "search", "a photo of a moka pot").stdout
    drop(stack.inbox, "newer.jpg", photograph("coffee.png"))
