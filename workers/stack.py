"""The embedded stack: which services one machine runs, in which order, and how each is known to work."""

from __future__ import annotations

import socket
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vectordb.errors import Permanent
from workers.pulse import Pulse
from workers.redis_server import PrivateRedis
from workers.settings import SEGMENTATION, STAGES, Settings
from workers.supervisor import Service, read_stack
from workers.wiring import Wiring


def command(*arguments: str) -> tuple[str, ...]:
    """One of wildtag's own commands, run by this interpreter."""
    return (sys.executable, "-m", "workers.cli", *arguments)


def services(settings: Settings, redis: PrivateRedis, flower_port: int) -> list[Service]:
    """Workers, dispatcher, what follows the bucket, and Flower, over a private Redis that is already there.

    ``settings`` must name that Redis.
    """
    wiring = Wiring(settings)
    env = {**settings.environment(), "PYTHONUNBUFFERED": "1"}
    after = (redis.name,)

    def member(name: str, beats_as: str, *arguments: str, **rest: Any) -> Service:
        pulse = Pulse(wiring, beats_as)
        return Service(name, command(*arguments), pulse.ready, healthy=pulse.healthy, after=after, **rest)

    def following() -> Service:
        """What tells of changes besides the gateway: a watch for a folder; for a bucket of a server the sweep."""
        if settings.s3_endpoint is None:
            return member("watcher", "watcher", "watcher", env=env)
        return member("reconcile", "reconcile", "reconcile", "--every", str(settings.rescan_s), env=env)

    port = settings.gateway_port
    # the workers' matrices are small: a second thread for them would only wait for the first
    light = env | {"OPENBLAS_NUM_THREADS": "1"}
    return [
        *(member(f"worker-{stage}", stage, "worker", stage, env=light, ready_timeout=180, stop_timeout=10)
          for stage in (*STAGES, SEGMENTATION)),
        member("dispatcher", "dispatcher", "dispatcher", env=env),
        following(),
        Service("gateway", command("gateway", "--port", str(port)), _answers(port, "readyz"), env=env, after=after),
        *([member("writer", "writer", "writer", env=env)] if settings.write_back != "off" else []),
        *([member("notifier", "notifier", "notifier", env=env)] if settings.notify_url is not None else []),
        Service("flower", command("flower", "--port", str(flower_port)), _answers(flower_port), env=env, after=after),
    ]  # fmt: skip


def _answers(port: int, path: str = "healthcheck") -> Callable[[], bool]:
    def ready() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=2) as answer:
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


def reached(settings: Settings) -> Settings:
    """These settings, or those of the stack that runs in their home where they name no Redis."""
    return settings if "redis_url" in settings.model_fields_set else running(settings) or settings


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
