"""``wildtag results --tag``: the images with a tag in any spelling, those with a narrower one last."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tasks.message_parts import ObjectRef, Revision, Tag
from tests import warm
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.layout import Layout

REVISION = Revision("space", "captions@1")


def test_it_shows_the_images_with_a_tag(tmp_path: Path, redis_url: str, client: Client, keys: Keys) -> None:
    Layout(client, keys).require()
    ledger = Ledger(client, keys, 100)
    for key, label in (("a.png", "Egyptian cats"), ("b.png", "cat"), ("c.png", "dog")):
        ledger.enter([Arrival(ObjectRef("inbox", key, "e"))], REVISION, 1.0, 60.0)
        record = Record(
            bucket="inbox", key=key, etag="e", state="done", tags=(Tag(label, 0.5, 0.5, 0.5),),
            space_id=REVISION.space_id, captions_version=REVISION.captions_version,
        )  # fmt: skip
        assert ledger.finish([record], 2.0) == [True]
    environment = {
        **os.environ, "WILDTAG_HOME": str(tmp_path), "WILDTAG_REDIS_URL": redis_url,
        "WILDTAG_KEY_PREFIX": keys.prefix,
    }  # fmt: skip

    def found(*arguments: str) -> list[str]:
        done = warm.wildtag("results", "--json", *arguments, env=environment, timeout=60)
        assert done.returncode == 0, done.stderr
        return [json.loads(line)["key"] for line in done.stdout.splitlines()]

    assert found("--tag", "CATS") == ["b.png", "a.png"]
    assert found("--tag", "CATS", "--limit", "1") == ["b.png"]
    assert found("--tag", "egyptian-cat") == ["a.png"]
    assert found("--tag", "bird") == found("--tag", "cat", "--state", "failed") == []
    assert warm.wildtag("results", "a.png", "--tag", "cat", env=environment, timeout=60).returncode == 2
