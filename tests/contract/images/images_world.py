"""One process with everything from the inbox to the record, with an index of images, in a world of colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from tests.contract.segmenting_world import World
from workers.images.teacher import Teacher
from workers.redis.rpc import RpcClient
from workers.stages.rpc_server import RpcServer
from workers.wiring.dispatch import follower
from workers.wiring.operations import restoration, teacher
from workers.wiring.stages import stage_worker

Colour = tuple[int, int, int]
REDS: Sequence[Colour] = ((220, 30, 30), (215, 36, 30), (222, 30, 38), (210, 34, 34))
OTHERS: Sequence[Colour] = (
    (30, 200, 40), (40, 40, 220), (200, 200, 30), (30, 200, 200), (200, 30, 200), (128, 128, 128),
    (240, 150, 30), (150, 240, 30), (30, 240, 150), (150, 30, 240),
)  # fmt: skip


class Owner:
    """Sends requests to the process that owns the index, which is this one. ``away``: nobody answers."""

    def __init__(self, server: RpcServer) -> None:
        self.server = server
        self.away = False

    def ask(self, queue: str, task: str, request: str, data: bytes, label: str, lifetime: float) -> None:  # noqa: ARG002 -- the Protocol's
        if not self.away:
            getattr(self.server, task.removeprefix("wildtag."))(request, data)


class ImagesWorld(World):
    """See ``World``. What is sent to the owner of the index is handled at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        worker = stage_worker(self.wiring)
        self.stages = worker.runner
        self.owner = Owner(worker.rpc)
        rpc = RpcClient(self.owner, self.wiring.redis, self.wiring.keys, patience_s=0.2)
        self.wiring.rpc = rpc
        self.teacher: Teacher = teacher(self.wiring)
        self.wiring.publisher.ask = self.owner.ask
        self.follower = follower(self.wiring, lambda: None)
        self.restoration = restoration(self.wiring)

    @property
    def encoder(self) -> Any:
        """It counts what it was shown."""
        return self.wiring.image_encoder

    def shown(self, colours: Sequence[Colour], prefix: str) -> list[str]:
        """Put an image of each colour; returns their keys, once they are tagged."""
        keys = [f"{prefix}{number}.png" for number in range(len(colours))]
        for key, colour in zip(keys, colours, strict=True):
            self.put(key, picture(colour))
        self.all_settled()
        return keys

    def all_settled(self) -> None:
        """Work until nothing is to be done, at low priority neither."""
        self.settle()
        while self.wiring.backlog.step() or self.wiring.low_priority_inbox.length():
            self.settle()

    def labels(self, key: str) -> list[str]:
        return [tag.label for tag in self.record(key).tags]


def picture(colour: Colour, seed: int = 1) -> Image.Image:
    """A picture of light and dark parts of one colour; ``seed`` decides where they are."""
    light = np.random.default_rng(seed).uniform(0.4, 1.0, (6, 6, 1)).repeat(12, 0).repeat(12, 1)
    return Image.fromarray((np.array(colour) * light).astype(np.uint8))
