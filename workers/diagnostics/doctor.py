"""Check one by one what wildtag needs of a machine. Changes and downloads nothing.

``ok`` of a check is ``True`` if it has passed, ``False`` if it has failed, and ``None`` if it is only a note.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil

from vectordb.errors import WildtagError
from vectordb.proxies import UnusableProxy, require_usable
from workers.diagnostics.check import Check
from workers.diagnostics.packages import EMBEDDED, packages, torch_check
from workers.diagnostics.python_release import advice
from workers.diagnostics.webhook_checks import webhook_checks
from workers.redis.server_paths import data_folder, socket_folder
from workers.redis.server_program import choose_server
from workers.settings.settings import Settings
from workers.settings.webhook_receivers import receivers_of
from workers.supervision.supervisor import phase_of, read_stack

GB = 2**30
MEMORY = 3 * GB  # for the embedded stack with the bundled encoder, with a reserve
DISK = 1 * GB  # for captions, records and logs, without images
SILENT = 180.0  # seconds; an idle worker is probed every minute
OLDEST_PYTHON = (3, 11)
WATCHES = 8192  # folders; each needs one inotify watch


def examine(
    settings: Settings,
    captions_ready: Callable[[Settings], bool] | None = None,
    ages: Callable[[Settings, str], Mapping[str, float]] | None = None,
) -> list[Check]:
    """All checks of this machine, for these settings.

    ``captions_ready`` says whether captions are encoded. ``ages`` gives the seconds since the last progress of
    each process, from the Redis of this URL.
    """
    return [
        *_machine(settings),
        *packages(settings),
        *_home(settings),
        *_captions(settings, captions_ready),
        *webhook_checks(lambda: receivers_of(settings), settings.notify_file),
        _stack(settings, ages),
        *_addresses(settings),
    ]


def _machine(settings: Settings) -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield (
        Check.passed("python", version)
        if sys.version_info >= OLDEST_PYTHON
        else Check.failed("python", version, "install Python 3.11 or newer")
    )
    if (old := advice()) is not None:
        yield Check.note("python security", f"{version} is too old to be safe. {old[0]}", old[1])
    cores = len(os.sched_getaffinity(0))
    yield Check.passed("cores", f"{cores}") if cores > 1 else Check.note("cores", "1; wildtag works, but slowly")
    memory = f"{_memory_limit() / GB:.1f} GB"
    remedy = f"about {MEMORY / GB:.0f} GB are needed: add memory, or raise the limit of the container"
    enough = _memory_limit() >= MEMORY
    yield Check.passed("memory", memory) if enough else Check.failed("memory", memory, remedy)
    yield from _redis(settings.home)
    yield torch_check(settings)
    yield _watches(settings.inbox_folder)
    try:
        require_usable()
    except UnusableProxy as exc:
        yield Check.note("proxies", str(exc), "unset or correct it: requests to other machines fail")


def _home(settings: Settings) -> Iterator[Check]:
    inbox = os.R_OK if settings.output_folder else os.W_OK  # then uploads go elsewhere
    places = [("home", settings.home, os.W_OK), ("inbox", settings.inbox_folder, inbox)]
    for name, folder, mode in [*places, *([("output_folder", o, os.W_OK)] if (o := settings.output_folder) else [])]:
        exists = _existing(folder)
        if exists.is_dir() and os.access(exists, mode | os.X_OK):
            yield Check.passed(name, str(folder))
        else:
            use = "read" if mode == os.R_OK else "write to"
            more = ", or WILDTAG_OUTPUT_FOLDER to one for uploads and output" if name == "inbox" else ""
            remedy = f"set WILDTAG_{name.upper()} to a folder that you can {use}{more}"
            yield Check.failed(name, f"no permission to {use} {exists}", remedy)
    free = shutil.disk_usage(_existing(settings.home)).free
    yield (
        Check.passed("disk", f"{free / GB:.1f} GB free")
        if free >= DISK
        else Check.failed(
            "disk",
            f"{free / GB:.1f} GB free",
            f"free at least {DISK / GB:.0f} GB, or set WILDTAG_HOME to a folder on another disk",
        )
    )
    try:
        yield Check.passed("socket", str(socket_folder(settings.home.resolve(), make=False)))
    except WildtagError as exc:
        yield Check.failed("socket", str(exc), "set WILDTAG_HOME to a folder with a shorter path")


def _captions(settings: Settings, ready: Callable[[Settings], bool] | None) -> Iterator[Check]:
    if ready is not None:
        kept = settings.qdrant_url.replace(",", " or ") if settings.qdrant_url else settings.captions_folder
        try:
            done = ready(settings)
        except WildtagError as exc:
            yield Check.failed("captions", str(exc), f"check that {kept} is available, or correct the settings")
            return
        detail = "encoded" if done else "not encoded yet; the first start does it in one or two minutes"
        check = Check.passed if done else Check.note
        version = settings.captions or "version in use"
        yield check("captions", f"{version}, encoder {settings.encoder}, in {kept}: {detail}")


def _stack(settings: Settings, ages_at: Callable[[Settings, str], Mapping[str, float]] | None) -> Check:
    info = read_stack(settings.home)
    if info is None:
        phase = phase_of(settings.home)
        return Check.note("stack", f"{phase} in this home" if phase else "not running in this home")
    up = f"up since {info.ready_at} (supervisor: process {info.supervisor.pid})"
    gone = sorted(name for name, pid in info.pids.items() if not psutil.pid_exists(pid))
    if gone:
        return Check.failed(
            "stack", f"{up}; not running: {', '.join(gone)}", f"see the logs in {settings.home / 'logs'}"
        )
    try:
        ages = ages_at(settings, info.addresses["redis"]) if ages_at else {}
    except (KeyError, WildtagError) as exc:
        return Check.failed("stack", f"{up}; {exc}", f"see the logs in {settings.home / 'logs'}")
    silent = [name for name, age in ages.items() if age > SILENT]
    if silent:
        detail = f"{up}; no progress for {SILENT:.0f} s: {', '.join(sorted(silent))}"
        return Check.failed("stack", detail, f"see the logs in {settings.home / 'logs'}")
    progress = ", ".join(f"{name} {age:.0f} s ago" for name, age in sorted(ages.items()))
    return Check.passed("stack", f"{up}; progress: {progress or 'none yet'}")


def _addresses(settings: Settings) -> Iterator[Check]:
    """Where the running stack listens: other ports than usual if those were in use when it started."""
    info = read_stack(settings.home)
    for name, address in (("page", "gateway"), ("flower", "flower")):
        if info is not None and address in info.addresses:
            yield Check.passed(name, f"{info.addresses[address]}/")


def _redis(home: Path) -> Iterator[Check]:
    """The Redis server that the stack would run in this home, and why others are not used."""
    try:
        choice = choose_server(data_folder(home))
    except WildtagError as exc:
        remedy = f"install redis-server or valkey from your system's packages, or run: {EMBEDDED}"
        yield Check.failed("redis-server", str(exc), remedy)
        return
    found = choice.program
    yield Check.passed("redis-server", f"{found.version}, {found.path} ({found.source})")
    for reason in choice.passed_over:
        yield Check.note("redis-server", f"not used: {reason}")


def _watches(inbox: Path) -> Check:
    try:
        limit = int(Path("/proc/sys/fs/inotify/max_user_watches").read_text())
    except (OSError, ValueError):
        return Check.note("inotify", "not available: changes are found more slowly, by comparing folders")
    folders = sum(1 for _ in os.walk(inbox)) if inbox.is_dir() else 0
    remedy = f"sudo sysctl fs.inotify.max_user_watches={max(65536, 4 * folders)}"
    if folders >= limit:
        return Check.failed("inotify", f"the limit is {limit} watched folders, but {inbox} has {folders}", remedy)
    if limit < WATCHES:
        return Check.note("inotify", f"the limit is low: {limit} watched folders", remedy)
    return Check.passed("inotify", f"up to {limit} watched folders")


def _memory_limit() -> int:
    """Memory in bytes: that of the machine, or the limit of this container."""
    total = int(psutil.virtual_memory().total)
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(file).read_text()))
        except (OSError, ValueError):  # other cgroup version, or no limit ("max")
            continue
    return total


def _existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
