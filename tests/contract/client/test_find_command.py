"""``wildtag find``: by filters from the records alone, and what is refused before a worker is asked."""

from __future__ import annotations

import json
import os
from pathlib import Path
from subprocess import CompletedProcess

from tasks.message_parts import Media, ObjectRef, Revision, Tag
from tests import warm
from workers.lifecycle.ledger import Arrival, Ledger
from workers.lifecycle.record import Record
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.layout import Layout

REVISION = Revision("space", "captions@1")
IMAGES = {
    "2023/a.png": (["Egyptian cats", "pet"], "2023-05-01T10:00:00"),
    "2023/b.png": (["cat"], None),
    "2024/c.png": (["dog"], "2024-05-01T10:00:00Z"),
}


def test_it_lists_images_by_filters_and_refuses_what_cannot_be_searched(
    tmp_path: Path, redis_url: str, client: Client, keys: Keys
) -> None:
    Layout(client, keys).require()
    ledger = Ledger(client, keys, 100)
    for number, (key, (labels, taken_at)) in enumerate(IMAGES.items()):
        ledger.enter([Arrival(ObjectRef("inbox", key, "e"))], REVISION, 1.0, 60.0)
        media = Media(format="PNG", width=1, height=1, bytes=1, taken_at=taken_at)
        record = Record(
            bucket="inbox", key=key, etag="e", state="done", tags=tuple(Tag(one, 0.5, 0.5, 0.5) for one in labels),
            space_id=REVISION.space_id, captions_version=REVISION.captions_version, media=media,
        )  # fmt: skip
        assert ledger.finish([record], 2.0 + number) == [True]
    environment = {
        **os.environ, "WILDTAG_HOME": str(tmp_path), "WILDTAG_REDIS_URL": redis_url,
        "WILDTAG_KEY_PREFIX": keys.prefix,
    }  # fmt: skip

    def find(*arguments: str) -> CompletedProcess[str]:
        return warm.wildtag("find", *arguments, env=environment, timeout=60)

    def found(*arguments: str) -> list[str]:
        done = find("--json", *arguments)
        assert done.returncode == 0, done.stderr
        return [json.loads(line)["key"] for line in done.stdout.splitlines()]

    assert found("--tag", "CATS") == ["2023/b.png", "2023/a.png"]  # tagged last first
    assert found("--tag", "cat", "--tag", "pets") == ["2023/a.png"]
    assert found("--tag", "cat", "--not-tag", "pet") == ["2023/b.png"]
    assert found("--prefix", "2024/") == found("--after", "2024-01-01") == ["2024/c.png"]
    assert found("--before", "2024-01-01", "--bucket", "inbox") == ["2023/a.png"]
    assert found("--not-tag", "bird", "--limit", "2") == ["2024/c.png", "2023/b.png"]
    shown = find("--tag", "dog")
    assert "2024/c.png" in shown.stdout
    nothing = find("--tag", "bird")
    assert (nothing.returncode, nothing.stdout, "No image was found" in nothing.stderr) == (0, "", True)
    for arguments in (["--tag", "caat"], ["--tag", "caat", "--json"]):
        misspelt = find(*arguments)
        assert (misspelt.returncode, misspelt.stdout) == (0, "")
        assert "no image has the tag 'caat'; did you mean 'cat'?" in misspelt.stderr
    results = warm.wildtag("results", "--tag", "caat", env=environment, timeout=60)
    assert "did you mean 'cat'?" in results.stderr
    assert found("--state", "failed") == []
    assert found("--state", "done", "--prefix", "2024/") == ["2024/c.png"]
    assert find("cat", "--state", "failed").returncode == find("--state", "fine").returncode == 2
    for wrong in ([], ["cat", "--like", "a.png"], ["--tag", " "], ["cat", "--after", "yesterday"]):
        assert find(*wrong).returncode == 2, wrong
    unknown = find("--like", "2023/A.png")
    assert (unknown.returncode, "did you mean" in unknown.stderr) == (1, True)
