"""The embedded stack: which services one machine runs, in which order, and how each is known to work."""

from __future__ import annotations

import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from vectordb.errors import Permanent
from workers.redis_server import PrivateRedis
from workers.settings import STAGES, Settings
from workers.supervisor import Service, read_stack
from workers.wiring import Wiring

FRESH = 15.0  # seconds; a process that beat within them is at work


def command(*arguments: str) -> tuple[str, ...]:
    """One of wildtag's own commands, run by this interpreter."""
    return (sys.executable, "-m", "workers.cli", *arguments)


def services(settings: Settings, redis: PrivateRedis, flower_port: int) -> list[Service]:
    """Workers, dispatcher, watcher and Flower over a private Redis that is already there.

    ``settings`` must name that Redis.
    """
    wiring = Wiring(settings)
    env = {**settings.environment(), "PYTHONUNBUFFERED": "1"}
    began = time.time()

    def beating(name: str) -> Callable[[], bool]:
        return lambda: wiring.health.beats().get(name, 0.0) >= began

    def asked(stage: str) -> Callable[[], bool]:
        """A worker is ready when it has answered a probe that went through its queue, its models loaded."""
        sent = {"at": 0.0}
        beats = beating(stage)

        def ready() -> bool:
            if time.monotonic() - sent["at"] > 30:
                wiring.publisher.probe(stage, 30)
                sent["at"] = time.monotonic()
            return beats()

        return ready

    def fresh(name: str) -> Callable[[], bool]:
        return lambda: time.time() - wiring.health.beats().get(name, 0.0) < FRESH

    after = (redis.name,)
    workers = [
        # their matrices are small: a second thread for them would only wait for the first
        Service(f"worker-{stage}", command("worker", stage), asked(stage), after=after,
                env=env | {"OPENBLAS_NUM_THREADS": "1"}, ready_timeout=180, stop_timeout=6)
        for stage in STAGES
    ]  # fmt: skip
    return [
        *workers,
        Service("dispatcher", command("dispatcher"), beating("dispatcher"), env=env, after=after,
                healthy=fresh("dispatcher")),
        Service("watcher", command("watcher"), beating("watcher"), env=env, after=after, healthy=fresh("watcher")),
        Service("flower", command("flower", "--port", str(flower_port)), _answers(flower_port), env=env, after=after),
    ]  # fmt: skip


def _answers(port: int) -> Callable[[], bool]:
    def ready() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck", timeout=2) as answer:
            return bool(answer.status == 200)

    return ready


def free_port(wanted: int) -> int:
    """This port of the loopback address if nobody has it, else one that is free."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Permanent("no port of 127.0.0.1 is free")


def running(settings: Settings) -> Settings | None:
    """The settings under which the stack of this home can be reached, ``None`` when it is not up."""
    info = read_stack(settings.home)
    if info is None:
        return None
    return settings.model_copy(
        update={
            "redis_url": info.addresses["redis"],
            "broker_url": info.addresses["broker"],
            "inbox": Path(info.addresses["inbox"]),
        }
    )
