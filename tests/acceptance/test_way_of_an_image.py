"""From a file in the inbox to its record, on the stack that ``wildtag up`` starts."""

from __future__ import annotations

import json
import os
import urllib.request
from base64 import b64encode
from collections.abc import Callable

import pytest

from tests.acceptance.images import AWKWARD_NAMES, PHOTOGRAPHS, bad_files, drop, one_pixel, photograph
from tests.acceptance.stack import Stack
from tests.eventually import eventually

pytestmark = pytest.mark.timeout(600)

STAGES = ("embedding", "retrieval", "extraction", "scoring")
FIELDS = {"bucket", "key", "state", "tags", "evidence", "space_id", "captions_version", "timings_ms", "error"}


def labels(record: dict[str, object]) -> set[str]:
    tags = record["tags"]
    assert isinstance(tags, list)
    return {word for tag in tags for word in [tag["label"], *tag["label"].split()]}


def test_every_file_ends_with_exactly_one_final_record(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(WILDTAG_GRACE_S="2")
    early = {"before/the start.png": photograph("coffee.png")}
    for key, data in early.items():
        drop(stack.inbox, key, data)
    addresses = stack.start().addresses

    bad = bad_files()
    for name in PHOTOGRAPHS:
        drop(stack.inbox, name, photograph(name))
    for key, (data, _) in bad.items():
        drop(stack.inbox, key, data)
    for key in AWKWARD_NAMES:
        drop(stack.inbox, key, photograph("chelsea.png"))
    drop(stack.inbox, "one pixel.png", one_pixel())
    (stack.inbox / "link.jpg").symlink_to("/etc/hostname")
    expected = {*early, *PHOTOGRAPHS, *bad, *AWKWARD_NAMES, "one pixel.png", "link.jpg"}

    records = stack.settled(len(expected))
    assert set(records) == expected
    for key, record in records.items():
        assert set(record) >= FIELDS
        if key in bad or key == "link.jpg":
            code = bad[key][1] if key in bad else "forbidden"
            assert (record["state"], record["error"]["code"]) == ("failed", code), record
            assert len(record["error"]["reason"]) > 10
        else:
            assert record["state"] == "done", record
            assert len(record["tags"]) <= 5
            assert bool(record["tags"]) is not record["unknown"]
            assert record["tags"] or key == "one pixel.png"
            for tag in record["tags"]:
                assert set(tag) >= {"label", "score", "image_score", "text_score"}
            assert set(record["evidence"][0]) == {"caption", "similarity"}
            assert set(record["timings_ms"]) == {*STAGES, "total"}
    for key, wanted in PHOTOGRAPHS.items():
        assert not wanted or labels(records[key]) & wanted, records[key]["tags"]

    _flower_knows_all_stages(addresses["flower"], (stack.home / "flower.auth").read_text().strip())
    _overwriting_and_removing(stack, records)
    assert stack.stop() < 10

    # a second start tags nothing twice, and finds what happened meanwhile
    before = stack_times(records := _restarted(stack))
    drop(stack.inbox, "meanwhile.png", photograph("rocket.jpg"))
    after = stack.settled(len(records) + 1)
    assert {key: at for key, at in stack_times(after).items() if key != "meanwhile.png"} == before
    assert stack.stop() < 10


def stack_times(records: dict[str, dict[str, object]]) -> dict[str, object]:
    return {key: record["finished_at"] for key, record in records.items()}


def _restarted(stack: Stack) -> dict[str, dict[str, object]]:
    (stack.inbox / "rocket.jpg").unlink()
    stack.start(60)
    eventually(lambda: "rocket.jpg" not in stack.known(), 30, stack.said)
    return stack.results()


def _overwriting_and_removing(stack: Stack, records: dict[str, dict[str, object]]) -> None:
    drop(stack.inbox, "coffee.png", photograph("chelsea.png"))
    (stack.inbox / "astronaut.png").unlink()
    # an atomic rename is how careful programs write
    drop(stack.inbox.parent, "moved.png", photograph("coffee.png"))
    os.replace(stack.inbox.parent / "moved.png", stack.inbox / "chelsea.png")  # noqa: PTH105 -- the call that is meant

    def changed() -> bool:
        now = stack.known()
        return (
            now["coffee.png"]["etag"] != records["coffee.png"]["etag"]
            and now["chelsea.png"]["etag"] != records["chelsea.png"]["etag"]
            and "astronaut.png" not in now
        )

    eventually(changed, 60, stack.said)
    now = stack.settled(len(records) - 1)
    assert "cat" in labels(now["coffee.png"])
    assert labels(now["chelsea.png"]) & {"coffee", "espresso", "cup"}


def _flower_knows_all_stages(flower: str, auth: str) -> None:
    def read(path: str) -> str:
        shown = {"Authorization": f"Basic {b64encode(auth.encode()).decode()}"}
        with urllib.request.urlopen(urllib.request.Request(f"{flower}{path}", headers=shown), timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    def counted() -> bool:
        succeeded = [line for line in read("/metrics").splitlines() if "task-succeeded" in line]
        return all(any(f'task="wildtag.{stage}"' in line for line in succeeded) for stage in STAGES)

    eventually(counted, 20, lambda: read("/metrics"))
    page = read("/tasks")
    assert "Flower" in page
    workers = read("/workers")
    assert all(f"{stage}@" in workers for stage in STAGES)


def test_results_of_unknown_keys_say_so(
    make_stack: Callable[..., Stack], running: Stack, begun: tuple[Stack, str]
) -> None:
    silent = make_stack().wildtag("results", check=False)
    assert silent.returncode == 1
    assert "wildtag up" in " ".join(silent.stderr.split())
    _, said_when_new = begun
    assert "There are no results" in said_when_new
    unknown = running.wildtag("results", "no such.jpg", check=False)
    assert (unknown.returncode, "no record" in unknown.stderr) == (1, True)
    status = json.loads(running.wildtag("status", "--json").stdout)
    assert set(status["seconds_since_progress"]) >= {*STAGES, "dispatcher", "watcher"}
