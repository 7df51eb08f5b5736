"""The embedded stack: which services one machine runs, in which order, and how each is known to work."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vectordb.errors import Permanent
from workers.embedded.redis_server import PrivateRedis
from workers.settings.settings import SEGMENTATION, STAGES, Settings
from workers.settings.topic import variable
from workers.supervision.supervisor import Service, read_stack
from workers.wiring.liveness import liveness_check
from workers.wiring.wiring import Wiring


class PortInUse(Permanent):
    """A port that was chosen for a service of the stack is used by another process."""


def command(*arguments: str) -> tuple[str, ...]:
    """One of wildtag's own commands, run by this interpreter.

    ``-P`` keeps the current folder off the module path: a ``tasks.py`` there must not take the place of ours.
    """
    return (sys.executable, "-P", "-m", "workers.cli", *arguments)


def services(settings: Settings, redis: PrivateRedis, flower_port: int) -> list[Service]:
    """Workers, dispatcher, what follows the bucket, and Flower, over a private Redis that is already there.

    ``settings`` must name that Redis.
    """
    wiring = Wiring(settings)
    env = {**settings.environment(), "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
    after = (redis.name,)

    def member(name: str, beats_as: str, *arguments: str, **rest: Any) -> Service:
        pulse = liveness_check(wiring, beats_as)
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


def free_port(wanted: int, *, claim: bool = False) -> int:
    """This port of the loopback address if nobody has it, else one that is free.

    ``claim``: for as long as this process lives. Then another stack that claims its ports takes another one, although
    nothing listens here for some seconds to come.
    """
    for port in (wanted, *[0] * 20):
        found = _free(port)
        if found is not None and (not claim or _claimed(found)):
            return found
    raise Permanent("no port of 127.0.0.1 is free")


def required_port(port: int, setting: str) -> int:
    """Claim exactly this port of the loopback address, as ``free_port`` does. Raises ``PortInUse``."""
    if _free(port) is None or not _claimed(port):
        name = variable(setting)
        raise PortInUse(
            f"{name}: port {port} is in use. Stop the process that uses it, or set {name} to another port"
        )
    return port


def _free(port: int) -> int | None:
    """This port if nobody uses it, any free one for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return None
        return int(probe.getsockname()[1])


_claims: list[int] = []  # open files, locked until the process ends


def _claimed(port: int) -> bool:
    """Whether this process has the port's lock now; where there can be no lock, nobody else has one."""
    file = Path(tempfile.gettempdir()) / f"wildtag-{os.getuid()}-port-{port}.lock"
    try:
        held = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return True
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return False
    _claims.append(held)
    return True


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
