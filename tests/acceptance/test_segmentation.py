"""Segmenting on the real stack: by prefix, over HTTP and from the command line, while the worker is killed."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import Json, Stack
from tests.acceptance.test_nothing_is_lost import kill, variants
from tests.eventually import eventually

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

DRAWN, PLAIN = 8, 10


def test_every_object_that_is_to_be_segmented_is(make_stack: Callable[..., Stack], tmp_path: Path) -> None:
    stack = make_stack(
        WILDTAG_SEGMENT_PREFIXES="drawn/=dense", WILDTAG_SEGMENT_GRIDS="2,4", WILDTAG_DEADLINE_S="15",
        WILDTAG_SEGMENTING_MAX="2",
    )  # fmt: skip
    gateway = stack.start().addresses["gateway"]
    photographs = variants(DRAWN + PLAIN)
    for number in range(DRAWN):
        drop(stack.inbox, f"drawn/{number}.jpg", photographs[number])
    # its worker is killed as it works on the first, and again later
    for count in (1, 4):
        eventually(lambda: any(p.stage == "segmentation" for p in stack.pending()), 60, stack.said)
        kill(stack, "worker-segmentation")
        if count == 1:
            for number in range(PLAIN):
                drop(stack.inbox, f"plain/{number}.jpg", photographs[DRAWN + number])
            # nobody waits behind those
            eventually(lambda: sum(key.startswith("plain/") for key in stack.known()) == PLAIN, 30, stack.said)
        eventually(lambda count=count: len(segmented(stack.known())) >= count, 120, stack.said)  # type: ignore[misc]
    records = stack.settled(DRAWN + PLAIN, patience=240)
    assert {record["state"] for record in records.values()} == {"done"}
    assert set(segmented(records)) == {f"drawn/{number}.jpg" for number in range(DRAWN)}
    for key, drawn in segmented(records).items():
        assert drawn["segments"], key
        label_map = Image.open(stack.inbox / drawn["artifacts"]["label_map"])
        assert label_map.size == (300, 300)

    _over_http(gateway)
    _from_the_command_line(stack, tmp_path)

    (stack.inbox / "drawn" / "0.jpg").unlink()
    gone = stack.inbox / segmented(records)["drawn/0.jpg"]["artifacts"]["overlay"]
    eventually(lambda: not gone.exists(), 30, stack.said)
    assert stack.stop() < 10


def segmented(records: dict[str, Json]) -> dict[str, Json]:
    """The segmentations of those that have one."""
    return {key: record["segmentation"] for key, record in records.items() if record["segmentation"]}


def _over_http(gateway: str) -> None:
    """An upload that asks for it is answered for once it has both: tags and where they are."""
    request = urllib.request.Request(
        f"{gateway}/v1/images?wait=60&segment=regions", data=photograph("coffee.png"), method="POST"
    )
    with urllib.request.urlopen(request, timeout=90) as answer:
        image = json.load(answer)
    assert image["state"] == "done"
    assert image["record"]["segmentation"]["method"] == "regions"
    with urllib.request.urlopen(f"{gateway}/v1/overlays/{image['bucket']}/{image['key']}", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "image/jpeg"


def _from_the_command_line(stack: Stack, tmp_path: Path) -> None:
    """The stack segments a key, the command a file; both write their artifacts to the given folder."""
    drop(tmp_path, "cat.png", photograph("chelsea.png"))
    printed = stack.wildtag(
        "segment", "plain/0.jpg", str(tmp_path / "cat.png"), "--method", "regions", "--out", str(tmp_path / "out"),
        "--json",
    ).stdout  # fmt: skip
    by_key, by_file = map(json.loads, printed.splitlines())
    assert (by_key["key"], by_key["segmentation"]["method"]) == ("plain/0.jpg", "regions")
    assert by_file["segmentation"]["segments"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "cat.png.labels.png", "cat.png.overlay.jpg", "plain-0.jpg.labels.png", "plain-0.jpg.overlay.jpg",
    ]  # fmt: skip
    missing = stack.wildtag("segment", "nothing.jpg", check=False)
    assert missing.returncode == 1
    assert "nothing.jpg: neither a file nor a key" in missing.stderr
    renamed = stack.wildtag("segment", "plain/0.jpg", "--way", "dense", check=False)
    assert renamed.returncode == 2
    assert "--way has been renamed: use --method" in " ".join(renamed.stderr.split())
    refused = stack.wildtag("segment", "plain/0.jpg", "--method", "prompted", check=False)
    assert refused.returncode == 2
    assert "WILDTAG_CLIPSEG_MODEL" in " ".join(refused.stderr.split())
