"""Whatever happens in whichever order, every object ends with one record of what it is and of what was asked last."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.contract.segmenting_world import World
from tests.unit.segmentation.world import BLUE, RED, halves
from workers.lifecycle.event import ObjectEvent
from workers.redis.connection import Client
from workers.settings.settings import Settings

pytestmark = pytest.mark.long

KEYS = ("a.png", "drawn/a.png", "drawn/b.png", "b.png")
OPERATIONS = ("put", "remove", "repeat", "again", "dense", "regions", "none", "step", "work", "lose", "late")


class Storm:
    """Objects are put, overwritten, removed, requested and reported again; messages get lost or come in any order."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: dict[str, str] = {}  # of the version that is there, after anything else was asked for
        self._turned = False

    def there(self, key: str) -> bool:
        return (self.world.settings.inbox_folder / key).exists()

    def happens(self, operation: str, key: str) -> None:
        world = self.world
        world.now += 0.01
        match operation:
            case "put":
                self._turned = not self._turned
                world.put(key, halves(*((BLUE, RED) if self._turned else (RED, BLUE)), 16))
                self.asked.pop(key, None)
            case "step":
                world.dispatcher.step(1)
            case "work" | "late" | "lose":
                self._message(operation)
            case _ if self.there(key):
                self._asked(operation, key)

    def _message(self, operation: str) -> None:
        if self.world.queues.sent:
            stage, batch, retries = self.world.queues.sent.pop(-1 if operation == "late" else 0)
            if operation != "lose":
                self.world.stages.run(stage, batch.encode(), retries)

    def _asked(self, operation: str, key: str) -> None:
        match operation:
            case "remove":
                self.world.remove(key)
                self.asked.pop(key, None)
            case "repeat":
                seen = ObjectEvent.seen(self.world.wiring.store.stat("inbox", key))
                self.world.wiring.inbox.append([seen])
            case "again":
                self.world.again(key)
            case method:
                self.world.request_segmentation(key, method)
                self.world.wiring.inbox.append([ObjectEvent("created", "inbox", key)])
                self.asked[key] = method

    def ends(self) -> None:
        """Until nothing is to be done, and what was lost is sent again."""
        for _ in range(8):
            self.world.settle()
            self.world.pass_by(61)


def pictures_are_right(world: World, found: Any) -> bool:
    """Whether the label map of a record is there, and of this version: red, left or right, is a cat."""
    image = Image.open(world.settings.inbox_folder / found.key).convert("RGB")
    label_map = np.asarray(Image.open(world.settings.inbox_folder / found.segmentation.artifacts.label_map))
    left = found.segmentation.labels[label_map[8, 0]].label
    red, _, blue = image.getpixel((1, 8))  # type: ignore[misc]  # three numbers, as it is RGB
    return bool(left == ("cat" if red > blue else "bridge"))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.sampled_from(KEYS)), max_size=40))
def test_after_any_storm(redis_url: str, client: Client, operations: list[tuple[str, str]]) -> None:
    client.flushall()
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "inbox").mkdir()
        world = World(Settings.model_validate({
            "redis_url": redis_url, "key_prefix": "test:", "home": home, "qdrant_url": "http://127.0.0.1:1",
            "segment_prefixes": "drawn/=dense", "segment_grids": "2", "segment_map": "4", "segmenting_max": 1,
            "hold_removals": False,
        }))  # fmt: skip
        storm = Storm(world)
        for operation, key in operations:
            storm.happens(operation, key)
        storm.ends()
        found = {record.key: record for record in world.wiring.records.latest()}
        assert set(found) == {key for key in KEYS if storm.there(key)}
        for key, record in found.items():
            assert (record.state, record.etag) == ("done", world.wiring.store.stat("inbox", key).ref.etag)
            if key in storm.asked:
                assert record.segmentation_method == storm.asked[key].replace("none", "")
            assert not record.segmentation_method or pictures_are_right(world, record)
        assert world.wiring.ledger.in_flight() == world.wiring.ledger.segmenting() == world.waiting() == 0
        drawn = {name.removesuffix(".labels.png") for name in world.artifacts() if name.endswith(".png")}
        assert drawn <= {f"segments/{key}" for key in found}
