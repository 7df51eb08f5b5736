"""The client's own id and metadata stay with an image: in record, feed and search, and over a loss of Redis."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.images import photograph
from tests.acceptance.stack import Json, Stack
from tests.eventually import eventually
from workers.client import Client

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

TEXTS = {"title": "Frühstück in Köln", "Order": "A-17"}


def described(record: Json) -> tuple[str, str, Json]:
    return record["file_name"], record["client_id"], record["metadata"]


def found(stack: Stack, query: str) -> Json:
    first: Json = json.loads(stack.wildtag("find", query, "--json").stdout.splitlines()[0])
    return first


def test_own_metadata_is_in_record_feed_and_search_and_survives_a_loss_of_redis(
    make_stack: Callable[..., Stack], tmp_path: Path
) -> None:
    stack = make_stack(WILDTAG_RESCAN_S="2", WILDTAG_GRACE_S="2")
    stack.start()
    file = tmp_path / "Käffchen.png"
    file.write_bytes(photograph("coffee.png"))
    options = ["--client-id", "4711/ü", *(part for pair in TEXTS.items() for part in ("--metadata", "=".join(pair)))]
    sent = json.loads(stack.wildtag("upload", str(file), *options, "--wait", "--json").stdout)
    expected = ("Käffchen.png", "4711/ü", TEXTS)
    assert described(sent["record"]) == expected

    with Client(stack.info().addresses["gateway"]) as client:
        damaged = client.upload(photograph("coffee.png")[:30_000], client_id="bad", wait=60)
        assert damaged.record is not None
        assert (damaged.record.state, damaged.record.client_id) == ("failed", "bad")
        news = next(one for one in client.feed("0-0") if one.record and one.record.client_id == "4711/ü")
        assert news.record is not None
        assert news.record.metadata == TEXTS

    key = sent["record"]["key"]
    eventually(lambda: stack.wildtag("find", "frühstück", "--json").stdout != "", 60, stack.said)
    hit = eventually(lambda: [one] if (one := found(stack, "frühstück"))["metadata"] else [], 60, stack.said)[0]
    assert (hit["key"], hit["metadata"]) == (key, ["title: Frühstück in Köln"])
    shown = " ".join(stack.wildtag("find", "frühstück").stdout.split())
    assert "metadata: title:" in shown  # the table breaks the lines
    assert "Frühstück in Köln" in shown

    stack.stop()
    shutil.rmtree(stack.home / "redis")  # the disk of Redis is lost
    stack.start()
    eventually(lambda: key in stack.known(), 120, stack.said)
    assert described(stack.known()[key]) == expected
    stack.wildtag("retag", "--all", check=False)
    assert described(stack.settled(2, under="uploads/")[key]) == expected
