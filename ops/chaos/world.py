"""The system under test: a Redis of its own behind a proxy, and ``wildtag up`` in a home of its own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from ops.bench.processes import SUPERVISOR, services_of
from ops.bench.qdrant_rest import RestServer
from ops.chaos.captions import Switches
from ops.chaos.proxy import Proxy
from ops.chaos.redis_process import RedisProcess, until
from ops.chaos.store_proxy import StoreProxy
from workers.embedded.ports import free_port
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

BUCKET = "inbox"
START_S = 600.0
CLOCKED = ("dispatcher", "worker-retrieval", "worker-extraction", "worker-scoring", "notifier")
"""Services of which one may have a clock that jumps. Others start sandboxed processes, which could not read it."""


class World:
    """Everything that runs. ``settings`` are further variables of the stack."""

    def __init__(self, home: Path, settings: Mapping[str, str], store: StoreProxy | None = None) -> None:
        """``store``: in front of the S3 server that has the bucket; ``None``: it is a folder."""
        self.home = home
        self.store = store
        self.redis = RedisProcess(home / "own-redis")
        self.redis.start()
        self.proxy = Proxy(self.redis.port)
        self._direct = Proxy(self.redis.port)
        self.clock = home / "clock"
        """What the clock of one service is ahead, as libfaketime reads it."""
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
            **({} if store is None else _at(store.url)),
        }  # fmt: skip
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

    def guardians(self) -> list[psutil.Process]:
        """The processes that end the stack when the supervisor dies."""
        return [one for one in self.services()[SUPERVISOR] if any("guardian" in part for part in _command(one))]

    def wiring(self) -> Wiring:
        """Adapters to this world that do not go through the proxy."""
        given = {name.removeprefix("WILDTAG_").lower(): value for name, value in self.environment.items()}
        known = {name: value for name, value in given.items() if name in Settings.model_fields}
        known |= {"redis_url": f"redis://127.0.0.1:{self._direct.port}/0", "home": str(self.home)}
        if self.index is not None:
            known["qdrant_url"] = self.index.url
        if self.store is not None:
            known["s3_endpoint"] = f"http://{self.store.upstream}"
        return Wiring(Settings(**known))  # type: ignore[arg-type]  # pydantic reads the texts

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

    def clocked(self, chance: float) -> None:
        """Give one service, chosen by ``chance``, a clock that a fault can set. Before the start."""
        library = faketime()
        if library is not None:
            self.clock.write_text("+0\n")
            name = CLOCKED[int(chance * len(CLOCKED))]
            self.environment |= {"CHAOS_CLOCK": f"{name} {library} {self.clock}"}

    def reap(self) -> None:
        """Wait for a supervisor that was killed, and for the end of what it has left."""
        if self._up is not None:
            self._up.wait(30)
        pids = list(self.noted()["pids"].values())
        until(lambda: not any(_lives(pid) for pid in pids), 60, "processes outlive their supervisor")

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


def _at(endpoint: str) -> dict[str, str]:
    """The variables of a bucket there; nobody checks the keys."""
    return {
        "WILDTAG_S3_ENDPOINT": endpoint, "WILDTAG_S3_ACCESS_KEY": "a", "WILDTAG_S3_SECRET_KEY": "b",
        "WILDTAG_BUCKET": BUCKET,
    }  # fmt: skip


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []


def _lives(pid: int) -> bool:
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False
