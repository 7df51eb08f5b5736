"""A Celery worker that embeds pictures of the world of colours, as a process."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from tests.unit.segmentation.world import CHOICES, SPACE, Colours
from workers.settings.settings import Settings
from workers.stages.registration import register
from workers.wiring.stages import stage_worker
from workers.wiring.wiring import Wiring


def wired(settings: Settings) -> Any:
    """A wiring over a real Redis and a real store, with queues that are real, too."""
    wiring: Any = Wiring(settings)
    wiring.space, wiring.image_encoder, wiring.pipeline_options = SPACE, Colours(), CHOICES
    wiring.chosen = lambda: "captions@1"
    return wiring


def main(name: str) -> None:
    """Work until it is stopped. The settings are in the environment."""
    chosen = Settings()
    app = Wiring(chosen).app
    register(app, cache(lambda: stage_worker(wired(chosen))))
    app.worker_main([
        "worker", "--queues", "embedding", "--hostname", f"{name}@here", "--pool", "prefork", "--concurrency", "1",
        "--loglevel", "WARNING", "--without-gossip", "--without-mingle",
    ])  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
