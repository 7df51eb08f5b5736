"""The system under test: a Redis of its own behind a proxy, and ``wildtag up`` in a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import redis

from ops.bench.made_up_minio import made_up_minio
from ops.bench.moto_server import moto
from ops.bench.processes import SUPERVISOR, services_of
from ops.bench.stacks import COPIED, new_home
from ops.chaos.proxy import Proxy
from ops.chaos.shelves import BucketShelf, FolderShelf, Shelf
from ops.chaos.store_proxy import StoreProxy, store_proxy
from vectordb.errors import Permanent
from workers.embedded.ports import free_port
from workers.redis.server_program import choose_server
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

BUCKET = "inbox"
START_S = 600.0
_LOOK_S = 0.1
_CONF = """\
bind 127.0.0.1
port {port}
dir {folder}
dbfilename dump.rdb
appendonly yes
appendfsync everysec
aof-load-truncated yes
save ""
maxmemory 512mb
maxmemory-policy noeviction
zset-max-listpack-entries 1024
"""


class RedisProcess:
    """A Redis server that can be ended and started again with its data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port(0)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "redis.conf").write_text(_CONF.format(port=self.port, folder=folder))

    @property
    def client(self) -> Any:
        """A client that does not go through the proxy."""
        return redis.Redis(port=self.port, socket_timeout=10)

    def start(self) -> None:
        """Start it and wait until it has loaded its data."""
        with (self.folder / "log").open("ab") as log:
            command = [str(choose_server().program.path), str(self.folder / "redis.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        until(self.client.ping, 60, "Redis does not start", (redis.RedisError,))

    def end(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal and wait for its end."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None  # noqa: S101 -- it is started first
        return self._process.pid


class World:
    """Everything that runs. ``settings`` are further variables of the stack."""

    def __init__(self, home: Path, settings: Mapping[str, str], store: StoreProxy | None = None) -> None:
        """``store``: in front of the S3 server that has the bucket; ``None``: it is a folder."""
        self.home = home
        self.store = store
        self.redis = RedisProcess(home / "own-redis")
        self.redis.start()
        self.proxy = Proxy(self.redis.port)
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        self.environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "WILDTAG_HOME": str(home),
            "WILDTAG_REDIS_URL": f"redis://127.0.0.1:{self.proxy.port}/0", "WILDTAG_GATEWAY_PORT": str(free_port(0)),
            "WILDTAG_FLOWER_PORT": str(free_port(0)), "WILDTAG_WORDS_AHEAD": "false", "WILDTAG_RESCAN_S": "20",
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
        known |= {"redis_url": f"redis://127.0.0.1:{self.redis.port}/0", "home": str(self.home)}
        if self.store is not None:
            known["s3_endpoint"] = f"http://{self.store.upstream}"
        return Wiring(Settings(**known))  # type: ignore[arg-type]  # pydantic reads the texts

    def stop(self) -> None:
        """End everything."""
        if self._up is not None and self._up.poll() is None:
            self._up.send_signal(signal.SIGCONT)
            self._up.send_signal(signal.SIGTERM)
            try:
                self._up.wait(60)
            except subprocess.TimeoutExpired:
                self._up.kill()
                self._up.wait(10)
        self.proxy.close()
        self.redis.end(signal.SIGTERM)

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


@contextmanager
def world(
    prepared: Path | None, settings: Mapping[str, str], kind: str, disk: int | None
) -> Iterator[tuple[World, Shelf]]:
    """A world until the end of the block, and where users put objects.

    ``prepared``: a home whose captions and caches are copied. ``kind``: ``folder`` or ``s3``.
    ``disk``: the size of a disk of its own in MB.
    """
    with ExitStack() as stack:
        home = stack.enter_context(new_home(prepared) if disk is None else own_disk(prepared, disk))
        store, server = None, None
        if kind == "s3":
            upstream = stack.enter_context(moto())
            server = stack.enter_context(made_up_minio(upstream, BUCKET))
            shelf: Shelf = BucketShelf(server.url, BUCKET)
            store = stack.enter_context(store_proxy(server.url))
        else:
            shelf = FolderShelf(home / "inbox")
        made = World(home, settings, store)
        try:
            made.start()
            yield made, shelf
        finally:
            made.stop()


@contextmanager
def own_disk(prepared: Path | None, megabytes: int) -> Iterator[Path]:
    """A home on a disk in memory; as ``new_home``. Raises ``CalledProcessError`` if it cannot be mounted."""
    with tempfile.TemporaryDirectory(prefix="wd-", dir="/tmp") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder]
        subprocess.run(mount, check=True)
        try:
            for part in COPIED if prepared is not None else ():
                if prepared is not None and (prepared / part).is_dir():
                    shutil.copytree(prepared / part, Path(folder, part))
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def _at(endpoint: str) -> dict[str, str]:
    """The variables of a bucket there; nobody checks the keys."""
    return {
        "WILDTAG_S3_ENDPOINT": endpoint, "WILDTAG_S3_ACCESS_KEY": "a", "WILDTAG_S3_SECRET_KEY": "b",
        "WILDTAG_BUCKET": BUCKET,
    }  # fmt: skip


def until(
    done: Callable[[], object], patience_s: float, said: str | Callable[[], str],
    despite: tuple[type[BaseException], ...] = (), beyond: Callable[[], bool] = lambda: True,
) -> float:  # fmt: skip
    """Wait until ``done`` is true. Returns the seconds that it took. Raises ``Permanent`` with ``said`` after
    ``patience_s``, or when ``beyond`` is no longer true.
    """
    began = time.monotonic()
    while True:
        with suppress(*despite):
            if done():
                return time.monotonic() - began
        if time.monotonic() - began > patience_s or not beyond():
            raise Permanent(said if isinstance(said, str) else said())
        time.sleep(_LOOK_S)


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []


def _lives(pid: int) -> bool:
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False
