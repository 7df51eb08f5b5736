"""The embedded stack: the services of one machine, their order, and their health checks."""

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
from workers.settings.process_environment import environment_of
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
    """All services but Redis: workers, dispatcher, the watcher or sweep of the bucket, gateway and Flower.

    ``settings`` must contain the URL of the private Redis.
    """
    wiring = Wiring(settings)
    after = (redis.name,)

    def member(name: str, beats_as: str, *arguments: str, **rest: Any) -> Service:
        liveness = liveness_check(wiring, beats_as)
        env = environment_of(name, settings)
        if name.startswith("worker-"):  # their matrices are small: a second thread does not pay
            env |= {"OPENBLAS_NUM_THREADS": "1"}
        return Service(
            name, command(*arguments), liveness.ready, healthy=liveness.healthy, after=after, env=env, **rest
        )

    def bucket_service() -> Service:
        """The process that finds changes: the watcher of a folder, or the sweep of a bucket on a server."""
        if settings.s3_endpoint is None:
            return member("watcher", "watcher", "watcher")
        return member("reconcile", "reconcile", "reconcile", "--every", str(settings.rescan_s))

    port = settings.gateway_port
    return [
        *(member(f"worker-{stage}", stage, "worker", stage, ready_timeout=180, stop_timeout=10)
          for stage in (*STAGES, SEGMENTATION)),
        member("dispatcher", "dispatcher", "dispatcher"),
        bucket_service(),
        # Uvicorn gives requests in progress three seconds to end
        Service("gateway", command("gateway", "--port", str(port)), _answers(port, "readyz"),
                env=environment_of("gateway", settings), after=after, stop_timeout=5),
        *([member("writer", "writer", "writer")] if settings.write_back != "off" else []),
        *([member("notifier", "notifier", "notifier")] if settings.notify_url is not None else []),
        Service("flower", command("flower", "--port", str(flower_port)), _answers(flower_port),
                env=environment_of("flower", settings), after=after),
    ]  # fmt: skip


def _answers(port: int, path: str = "healthcheck") -> Callable[[], bool]:
    def ready() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=2) as answer:
            return bool(answer.status == 200)

    return ready


def free_port(wanted: int, *, claim: bool = False) -> int:
    """This port of the loopback address if it is free, else any free port.

    ``claim``: reserve the port while this process lives, so that another stack that claims its ports does not take it
    before a server listens on it.
    """
    for port in (wanted, *[0] * 20):
        found = _free(port)
        if found is not None and (not claim or _claimed(found)):
            return found
    raise Permanent("no port of 127.0.0.1 is free; stop other programs and try again")


def required_port(port: int, setting: str) -> int:
    """Claim exactly this port of the loopback address, as ``free_port`` does. Raises ``PortInUse``."""
    if _free(port) is None or not _claimed(port):
        name = variable(setting)
        raise PortInUse(
            f"{name}: port {port} is in use. Stop the process that uses it, or set {name} to another port"
        )
    return port


def _free(port: int) -> int | None:
    """This port if it is free; for 0 any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return None
        return int(probe.getsockname()[1])


_claims: list[int] = []  # open files, locked until the process ends


def _claimed(port: int) -> bool:
    """Whether this process holds the lock of the port. True if lock files cannot be created."""
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
    """The settings of the stack that runs in this home; these settings if none runs or if they name a Redis."""
    return settings if "redis_url" in settings.model_fields_set else running(settings) or settings


def running(settings: Settings) -> Settings | None:
    """Settings to connect to the stack of this home; ``None`` if none runs."""
    info = read_stack(settings.home)
    if info is None:
        return None
    return settings.model_copy(
        update={
            "redis_url": info.addresses["redis"],
            "broker_url": info.addresses["broker"],
            "broker_ca_file": Path(file) if (file := info.addresses.get("broker_ca_file")) else None,
            "inbox": Path(info.addresses["inbox"]),
            "output_folder": Path(output) if (output := info.addresses.get("output")) else None,
        }
    )
