"""The system under test: a Redis of its own behind a proxy, and ``wildtag up`` in a home of its own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from ops.bench.processes import SUPERVISOR, services_of
from ops.bench.qdrant_rest import RestServer
from ops.chaos.buckets import Bucket
from ops.chaos.captions import Switches
from ops.chaos.proxy import Proxy
from ops.chaos.redis_process import RedisProcess, until
from vectordb.errors import Permanent
from workers.embedded.ports import free_port
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

TEMPORARY = "temporary"
"""Folder of the home for temporary files, if it has a disk of its own."""

START_S = 600.0
_END_S = 60.0
_CLOCKS = "clocks"
# libfaketime 0.9.10 lets clock_nanosleep fail, with which Python sleeps, if monotonic clocks are not to jump (its
# issue 426): processes would end at their first sleep
_SLEEP = """\
import select
import time

def sleep(seconds):
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select((), (), (), seconds)

time.sleep = sleep
"""
CLOCKED = ("dispatcher", "worker-retrieval", "worker-extraction", "worker-scoring", "notifier")
"""Services whose clocks may jump. Others start sandboxed processes, which could not read it."""


class World:
    """Everything that runs. ``settings`` are further variables of the stack."""

    def __init__(self, home: Path, settings: Mapping[str, str], bucket: Bucket) -> None:
        self.home = home
        self.store = bucket.proxy
        self.bucket = bucket.name
        self.redis = RedisProcess(home / "own-redis")
        self.redis.start()
        self.proxy = Proxy(self.redis.port)
        self._direct = Proxy(self.redis.port)
        self.jumped: Counter[str] = Counter()
        """How often the clock of each service has jumped."""
        self.problems: list[tuple[str, str]] = []
        """What faults have found by themselves: kind of finding, and text."""
        self.lost_at: list[tuple[float, float]] = []
        """Times between which what Redis acknowledged may be lost, as those of ``time.monotonic``."""
        self.wiped_at: list[float] = []
        """When all keys of Redis were lost."""
        self.losses: list[dict[str, int]] = []
        """What each failover has lost: bytes, and entries by stream."""
        self.index: RestServer | None = None
        """The server of captions and images, and the network to it; ``None``: they are in the home."""
        self.index_network: Proxy | None = None
        self.switches: Switches | None = None
        self.snapshots: list[Path] = []
        """Of the caption databases that can be restored."""
        self.undisturbed = home
        """A home whose captions and caches nobody touches."""
        self.key = secrets.token_hex(24)
        """Opens the API, which an attacker must not do without one."""
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        self.environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "WILDTAG_HOME": str(home),
            "WILDTAG_REDIS_URL": f"redis://127.0.0.1:{self.proxy.port}/0", "WILDTAG_GATEWAY_PORT": str(free_port(0)),
            "WILDTAG_FLOWER_PORT": str(free_port(0)), "WILDTAG_WORDS_AHEAD": "false", "WILDTAG_RESCAN_S": "20",
            "WILDTAG_IMAGES_VERIFY_S": "60", "WILDTAG_KEY_REQUIRED": "true", "WILDTAG_ADMIN_KEY": self.key,
            "WILDTAG_WEBHOOK_TOKEN": self.key,
            **settings,
            "WILDTAG_BUCKET": bucket.name, **bucket.settings,
        }  # fmt: skip
        self.environment.pop("WILDTAG_S3_ENDPOINT", None)  # of somebody's shell
        if bucket.proxy is not None:
            self.environment["WILDTAG_S3_ENDPOINT"] = bucket.proxy.url
        self._up: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run ``wildtag up``, and wait until it says that all is up."""
        noted = self.home / "run" / "stack.json"
        noted.unlink(missing_ok=True)
        with (self.home / "up.log").open("ab") as log:
            self._up = subprocess.Popen(
                [sys.executable, "-P", "-m", "ops.chaos.stack_process"], env=self.environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        until(lambda: self.supervisor_lives() and noted.exists(), START_S, self.said, beyond=self.supervisor_lives)

    def supervisor_lives(self) -> bool:
        """Whether ``wildtag up`` runs."""
        return self._up is not None and self._up.poll() is None

    @property
    def inbox(self) -> Path:
        """The folder whose images are tagged."""
        return Path(self.noted()["addresses"]["inbox"])

    @property
    def gateway(self) -> str:
        """The address of the HTTP API."""
        return str(self.noted()["addresses"]["gateway"])

    def noted(self) -> dict[str, Any]:
        """What the supervisor has written of its processes."""
        found: dict[str, Any] = json.loads((self.home / "run" / "stack.json").read_text())
        return found

    def services(self) -> dict[str, list[psutil.Process]]:
        """The processes of each service, those of the supervisor included."""
        assert self._up is not None  # noqa: S101 -- as above
        return services_of(self._up.pid, self.noted()["pids"])

    def supervising(self, named: str | None) -> list[psutil.Process]:
        """The supervisor itself, or those of its own processes that have this in their command."""
        found = self.services()[SUPERVISOR]
        return found[:1] if named is None else [one for one in found if any(named in part for part in _command(one))]

    def wiring(self) -> Wiring:
        """Adapters to this world that do not go through the proxy."""
        given = {name.removeprefix("WILDTAG_").lower(): value for name, value in self.environment.items()}
        known = {name: value for name, value in given.items() if name in Settings.model_fields}
        known |= {"redis_url": f"redis://127.0.0.1:{self._direct.port}/0", "home": str(self.home)}
        known.pop("s3_endpoint", None)
        if self.index is not None:
            known["qdrant_url"] = self.index.url
        endpoint = None if self.store is None else self.store.upstream
        return Wiring(Settings(**known, s3_endpoint=endpoint))  # type: ignore[arg-type]  # pydantic reads the texts

    def stop(self) -> None:
        """End everything. It may be called again."""
        if self._up is not None and self._up.poll() is None:
            self._up.send_signal(signal.SIGCONT)
            self._up.send_signal(signal.SIGTERM)
            try:
                self._up.wait(60)
            except subprocess.TimeoutExpired:
                self._up.kill()
                self._up.wait(10)
        self.proxy.close()
        self._direct.close()
        self.redis.end(signal.SIGTERM)

    def promote(self, replica: RedisProcess) -> None:
        """Let this server be the Redis of the stack from now on."""
        self.redis = replica
        for proxy in (self.proxy, self._direct):
            proxy.forward_to(replica.port)

    def search_on(self, server: RestServer, network: Proxy) -> None:
        """Have captions and images on this server, behind this network. Before the start."""
        self.index, self.index_network = server, network
        self.environment |= indexes_at(f"http://127.0.0.1:{network.port}")

    def clocked(self) -> None:
        """Give some services clocks that a fault can set. Before the start."""
        library = faketime()
        if library is not None:
            (self.home / _CLOCKS).mkdir()
            (self.home / _CLOCKS / "sitecustomize.py").write_text(_SLEEP)
            for name in CLOCKED:
                self.set_clock(name, "+0")
            self.environment |= {"CHAOS_CLOCKS": f"{library} {self.home / _CLOCKS}"}

    def set_clock(self, service: str, text: str) -> None:
        """Set how far the clock of a service is ahead, as libfaketime reads it."""
        new = self.home / _CLOCKS / f".{service}"
        new.write_text(text + "\n")
        new.replace(self.home / _CLOCKS / service)

    def end(self, number: signal.Signals) -> None:
        """End the supervisor by a signal, and wait for the end of what it has left."""
        assert self._up is not None  # noqa: S101 -- as above
        pids = self.noted()["pids"]
        self._up.send_signal(number)
        try:
            status = self._up.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._up.kill()
            status = self._up.wait(_END_S)
        if number != signal.SIGKILL and status:
            self.problems.append(("wrong", f"the supervisor ended at {number.name} with the status {status}"))
        try:
            until(lambda: not any(lives(pid) for pid in pids.values()), 60, "")
        except Permanent:
            left = [name for name, pid in pids.items() if lives(pid)]
            self.problems.append(("leaked", f"{', '.join(left)} outlives its supervisor, which got {number.name}"))

    def said(self) -> str:
        """The end of what its processes logged."""
        logs = [self.home / "up.log", *sorted((self.home / "logs").glob("*.log"))]
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs if log.exists())


def faketime() -> Path | None:
    """The library that fakes clocks, if it is installed."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def indexes_at(url: str) -> dict[str, str]:
    """The variables of captions and images on a Qdrant server there that is reached by REST."""
    return {"WILDTAG_QDRANT_URL": url, "WILDTAG_QDRANT_GRPC_PORT": "0"}


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []


def lives(pid: int) -> bool:
    """Whether this process runs, or is stopped."""
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False
