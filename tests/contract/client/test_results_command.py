"""``wildtag results --tag``: the images with a tag in any spelling, those with a narrower one last."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec

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
    assert "uploaded as" not in warm.wildtag("results", "A.PNG", env=environment, timeout=60).stderr
    assert warm.wildtag("results", "a.png", "--tag", "cat", env=environment, timeout=60).returncode == 2


def test_the_key_of_an_upload_is_found_by_the_name_of_its_file(
    tmp_path: Path, redis_url: str, client: Client, keys: Keys
) -> None:
    Layout(client, keys).require()
    ledger = Ledger(client, keys, 100)
    named = {"uploads/1.jpg": "p017.jpg", "uploads/2.jpg": "P018.jpg", "uploads/3.jpg": "p018.jpg", "p019.jpg": None}
    for key, name in named.items():
        ledger.enter([Arrival(ObjectRef("inbox", key, "e"))], REVISION, 1.0, 60.0)
        record = Record(
            bucket="inbox", key=key, etag="e", state="done", space_id=REVISION.space_id,
            captions_version=REVISION.captions_version, file_name=name or msgspec.UNSET,
        )  # fmt: skip
        assert ledger.finish([record], 2.0) == [True]
    environment = {
        **os.environ, "WILDTAG_HOME": str(tmp_path), "WILDTAG_REDIS_URL": redis_url,
        "WILDTAG_KEY_PREFIX": keys.prefix,
    }  # fmt: skip

    def said(key: str) -> str:
        done = warm.wildtag("results", key, env=environment, timeout=60)
        assert done.returncode == 1
        return " ".join(done.stderr.split())

    assert "did you mean 'uploads/1.jpg', uploaded as p017.jpg?" in said("p017.jpg")
    assert "did you mean 'uploads/3.jpg', uploaded as p018.jpg?" in said("p018.jpg"), "the exact name comes first"
    assert "did you mean 'uploads/1.jpg', uploaded as p017.jpg?" in said("P017.JPG")
    assert "did you mean 'p019.jpg'?" in said("P019.jpg")
    assert "did you mean" not in said("p020.jpg")
