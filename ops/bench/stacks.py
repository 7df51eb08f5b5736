"""Embedded stacks for benchmarks: real processes, a folder as the bucket, a home of their own.

They may be of another version of wildtag (``ops.bench.checkouts``). So only what all versions have is used:
``wildtag up``, its file ``run/stack.json``, the inbox folder, the HTTP API, and the feed in Redis.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import redis

from ops.bench.checkouts import Checkout
from ops.bench.processes import SUPERVISOR, Services, end, services_of
from vectordb.errors import Permanent
from workers.embedded.ports import free_port
from workers.redis.keys import Keys
from workers.settings.settings import Settings

COPIED = ("captions", "cache")  # folders of a home
# of this version and of all that are older
FEEDS = tuple(dict.fromkeys((Keys(Settings.model_fields["key_prefix"].default).feed, "wildtag:feed")))
LOOK_S = 0.02  # between two looks at the feed: they take 0.5 % of a core
READY_S = 600.0  # of a home whose captions have to be encoded
PATIENCE_S = 300.0  # without a new record


class Stack:
    """A running stack. ``settings``: the variables it was started with."""

    def __init__(self, home: Path, settings: Mapping[str, str]) -> None:
        noted = json.loads((home / "run" / "stack.json").read_text())
        self.home = home
        self.settings = settings
        self.supervisor = int(noted["supervisor"][0])
        self.pids: dict[str, int] = noted["pids"]
        self.addresses: dict[str, str] = noted["addresses"]
        self.inbox = Path(self.addresses["inbox"])
        self.redis: Any = redis.Redis.from_url(self.addresses["redis"])

    @property
    def gateway(self) -> str:
        """The address of its HTTP API."""
        return self.addresses["gateway"]

    def services(self) -> Services:
        """Its processes by service."""
        return services_of(self.supervisor, self.pids)

    def finished(self) -> int:
        """Records and removals since the Redis of this home is new."""
        return sum(self._added(feed) for feed in FEEDS)

    def drop(self, files: Sequence[Path], folder: str) -> None:
        """Put files of the same disk into a folder of the inbox, each in one step, as links."""
        (self.inbox / folder).mkdir(parents=True, exist_ok=True)
        for number, file in enumerate(files):
            # a new link is no event for every version of the watcher, a new name is
            aside = self.home / f"link-{number}"
            os.link(file, aside)
            aside.rename(self.inbox / folder / file.name)

    def await_finished(self, count: int, on_look: Callable[[int], object] = lambda _: None) -> None:
        """Wait until the feed has had ``count`` entries. ``on_look`` gets their number at each look.

        Raises ``Permanent`` when no entry comes for ``PATIENCE_S``.
        """
        last, since = self.finished(), time.monotonic()
        on_look(last)
        while last < count:
            time.sleep(LOOK_S)
            now = self.finished()
            on_look(now)
            if now > last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > PATIENCE_S:
                raise Permanent(f"{count - last} images have no record after {PATIENCE_S:g} s: {self.said()}")

    def suspend(self) -> None:
        """Stop all its processes without ending them, so that they use no CPU."""
        services = self.services()
        for name in (SUPERVISOR, *(other for other in services if other != SUPERVISOR)):
            _signal(services[name], signal.SIGSTOP)

    def resume(self) -> None:
        """Continue: Redis first, the supervisor last, so that nobody finds another process silent."""
        services = self.services()
        _signal(services.get("redis", []), signal.SIGCONT)
        time.sleep(0.3)
        for name, processes in services.items():
            if name not in {SUPERVISOR, "redis"}:
                _signal(processes, signal.SIGCONT)
        time.sleep(1.5)
        _signal(services[SUPERVISOR], signal.SIGCONT)

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Continue for the block, and suspend again."""
        self.resume()
        try:
            yield
        finally:
            self.suspend()

    def said(self) -> str:
        """The end of what its processes logged."""
        logs = [self.home / "up.log", *sorted((self.home / "logs").glob("*.log"))]
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-1000:]}" for log in logs if log.exists())

    def _added(self, feed: str) -> int:
        try:
            about = self.redis.xinfo_stream(feed)
        except redis.ResponseError:  # there is no feed yet
            return 0
        return int(about.get("entries-added", about["length"]))


@contextmanager
def stack(
    checkout: Checkout, prepared: Path | None, settings: Mapping[str, str] | None = None, *, home: Path | None = None
) -> Iterator[Stack]:
    """Start a stack, and stop it at last. Its home is a copy of the captions and caches in ``prepared``, if given.

    ``home``: an existing home is used in place of a copy, and stays. Raises ``Permanent`` if it does not start.
    """
    if home is not None:
        with started(checkout, home, settings or {}) as found:
            yield found
        return
    with new_home(prepared) as made, started(checkout, made, settings or {}) as found:
        yield found


@contextmanager
def new_home(prepared: Path | None) -> Iterator[Path]:
    """A home with the captions and caches of ``prepared``, if given; removed at last. Its path is short."""
    with tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        for part in COPIED if prepared is not None else ():
            if prepared is not None and (prepared / part).is_dir():
                shutil.copytree(prepared / part, home / part)
        yield home


@contextmanager
def started(checkout: Checkout, home: Path, settings: Mapping[str, str]) -> Iterator[Stack]:
    """A stack in this home until the end of the block."""
    chosen = {
        "WILDTAG_HOME": str(home), "WILDTAG_GATEWAY_PORT": str(free_port(0)), "WILDTAG_RESCAN_S": "86400", **settings,
    }  # fmt: skip
    with (home / "up.log").open("ab") as log:
        process = subprocess.Popen(
            checkout.wildtag("up"), cwd=checkout.path, env=checkout.environment(chosen), stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        found: Stack | None = None
        try:
            found = _ready(home, chosen, process)
            yield found
        finally:
            if found is not None and _suspended(process.pid):  # it could not end
                found.resume()
            process.send_signal(signal.SIGINT)
            end(process, 60)


def _ready(home: Path, settings: Mapping[str, str], process: subprocess.Popen[bytes]) -> Stack:
    """The stack once all its processes say that they are ready, and its gateway that it would accept an upload."""
    deadline = time.monotonic() + READY_S
    while not (home / "run" / "stack.json").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise Permanent(f"the stack did not start: {(home / 'up.log').read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)
    found = Stack(home, settings)
    while not _answers(f"{found.gateway}/readyz"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise Permanent(f"the stack does not become ready: {found.said()}")
        time.sleep(0.02)
    return found


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _suspended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def _signal(processes: Sequence[psutil.Process], number: int) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
