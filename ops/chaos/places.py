"""Makes the system under test: its home, disks, captions, bucket and network."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ops.bench.qdrant_rest import rest_server
from ops.bench.stacks import COPIED, new_home
from ops.chaos.buckets import FOLDER, bucket_at
from ops.chaos.captions import Switches, active_version, import_small, wildtag
from ops.chaos.notifications import Notifications, notifications
from ops.chaos.proxy import Proxy
from ops.chaos.shelves import Shelf
from ops.chaos.world import TEMPORARY, World, indexes_at
from vectordb.errors import Permanent

OTHER_DISKS = ("inbox", "own-redis", TEMPORARY)
"""Folders of the home that have a disk of their own: a third as large as the home's, or ``_TEMPORARY_MB``."""

_TEMPORARY_MB = 64


@dataclass(frozen=True)
class Conditions:
    """Where a plan is carried out.

    ``prepared``: a home whose captions and caches are copied. ``bucket``: see ``bucket_at``. ``disk``: the size of a
    disk of the home's own in MB. ``webhooks_fail``: share of deliveries that are refused. ``switching``: whether
    there are two more caption databases, and people switch between them. ``attack``: whether somebody attacks it.
    ``index``: ``embedded`` or ``server``.
    """

    prepared: Path | None = None
    bucket: str = FOLDER
    disk: int | None = None
    webhooks_fail: float = 0.2
    switching: bool = True
    attack: bool = False
    index: str = "embedded"


@dataclass(frozen=True)
class Scene:
    """What a run has: the system, where users put objects, the captions, and a home that nobody disturbs.

    ``temporary``: the system's own folder for temporary files.
    """

    world: World
    shelf: Shelf
    switches: Switches
    undisturbed: Path
    temporary: Path
    notifications: Notifications | None


@contextmanager
def scene(
    where: Conditions, seed: int, settings: Mapping[str, str], *, clocks: bool, snapshots: bool
) -> Iterator[Scene]:
    """The system until the end of the block. ``clocks``: whether those of some services can be set.

    ``snapshots``: whether there must be snapshots of the small databases. Raises ``Permanent`` if it does not start.
    """
    with ExitStack() as stack:
        home = stack.enter_context(
            new_home(where.prepared) if where.disk is None else own_disk(where.prepared, where.disk)
        )
        temporary = home / TEMPORARY
        if where.disk is None:
            temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wf-", dir="/tmp")))
        undisturbed = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wu-", dir="/tmp")))
        alone = {**os.environ, "WILDTAG_HOME": str(home)}
        versions = _captions(home, alone, switching=where.switching)
        files = [_snapshot(version, undisturbed, alone) for version in versions if snapshots]
        for part in COPIED:
            if (home / part).is_dir():
                shutil.copytree(home / part, undisturbed / part)
        active = active_version(alone)
        bucket, stage = stack.enter_context(bucket_at(where.bucket, home)), None
        made = World(home, {**settings, "TMPDIR": str(temporary)}, bucket)
        stack.callback(made.stop)
        if clocks:
            made.clocked()
        if bucket.events is not None:
            stage = stack.enter_context(notifications(seed, lambda: f"{made.gateway}/v1/events/minio", made.key))
            bucket.events.at_once = stage.url
        if where.index == "server":
            server = stack.enter_context(rest_server())
            network = Proxy(urlsplit(server.url).port or 0)
            stack.callback(network.close)
            _copy([*versions, active], alone, server.url)
            made.search_on(server, network)
        made.switches = Switches(lambda: made.environment, versions and [*versions, active], active)
        made.snapshots, made.undisturbed = files, undisturbed
        made.start()
        yield Scene(made, bucket.shelf, made.switches, undisturbed, temporary, stage)


def _captions(home: Path, alone: Mapping[str, str], *, switching: bool) -> list[str]:
    """Make the captions of the home, where they are not there. Returns the versions that are switched between."""
    if not (home / "captions").is_dir() and (done := wildtag(("prepare",), alone, 600)).returncode:
        raise Permanent(f"wildtag prepare: {done.stderr[-1000:]}")
    return import_small(alone, home) if switching else []


def _snapshot(version: str, folder: Path, alone: Mapping[str, str]) -> Path:
    file = folder / f"{version.replace('@', '--')}.tar.zst"
    done = wildtag(("captions", "snapshot", version, str(file)), alone)
    if done.returncode:
        raise Permanent(f"captions snapshot: {done.stderr[-1000:]}")
    return file


def _copy(versions: list[str], alone: Mapping[str, str], url: str) -> None:
    """Copy captions to a Qdrant server, and have it use the last of them."""
    for version in versions:
        done = wildtag(("captions", "copy", version, "--to", url), alone)
        if done.returncode:
            raise Permanent(f"captions copy: {done.stderr[-1000:]}")
    done = wildtag(("captions", "use", versions[-1]), {**alone, **indexes_at(url)})
    if done.returncode:
        raise Permanent(f"captions use: {done.stderr[-1000:]}")


@contextmanager
def own_disk(prepared: Path | None, megabytes: int) -> Iterator[Path]:
    """A home on a disk in memory, of which some folders have one of their own; as ``new_home``.

    Raises ``CalledProcessError`` if it cannot be mounted.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wd-", dir="/tmp")))
        stack.enter_context(_mounted(folder, megabytes))
        for part in OTHER_DISKS:
            (folder / part).mkdir()
            stack.enter_context(_mounted(folder / part, _TEMPORARY_MB if part == TEMPORARY else megabytes // 3))
        for part in COPIED if prepared is not None else ():
            if prepared is not None and (prepared / part).is_dir():
                shutil.copytree(prepared / part, folder / part)
        yield folder


@contextmanager
def _mounted(folder: Path, megabytes: int) -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
