"""Copying captions between the embedded home and a Qdrant server, or between two of a kind.

A *side* is settings that lead to one home: what is known of the other side's server (key, gRPC port) is left out, so
that no key is shown to a server that it was not meant for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from vectordb.copying import SEARCHES, Copied, Hooks, copy, level, missing
from vectordb.errors import Permanent, Transient
from vectordb.index import CaptionIndex, IndexLocked
from vectordb.library import Manifest, VersionExists
from vectordb.server_addresses import GRPC_PORT, REST_PORT, BadAddress, addresses
from workers.captions.versions import chosen
from workers.embedded.stack import running
from workers.settings.settings import Settings
from workers.wiring.captions import library_of
from workers.wiring.wiring import Wiring

EMBEDDED = "embedded"  # the folders of this home
PATIENCE_S = 600.0  # a side that is away for longer ends the copy; started again it goes on


class NoSide(Permanent):
    """What was named is neither a Qdrant server nor a home of wildtag, or both sides are one."""


@dataclass(frozen=True)
class Side:
    """One home of captions, and what it is called in messages."""

    settings: Settings
    name: str


@dataclass(frozen=True)
class Report:
    """What has been done: ``count`` captions are in the target, ``brought`` of them by this call.

    ``already``: the version was there. ``taught``: how many the target holds that were taught; where the version was
    there already, how many were taught to the source alone. ``searches``: by how many the copy was compared.
    """

    manifest: Manifest
    source: str
    target: str
    already: bool
    count: int
    brought: int
    taught: int
    searches: int


def sides(settings: Settings, source: str | None, target: str | None) -> tuple[Side, Side]:
    """The two homes: a server's address, ``embedded``, or the folder of a home; where none, that of the settings.

    Raises ``NoSide``.
    """
    if source is None and target is None:
        raise NoSide("say where to: --to http://HOST:6333, or --to embedded; or where from: --from")
    ours = settings.qdrant_url or EMBEDDED
    servers = [place for place in (source or ours, target or ours) if "://" in place]
    made = [
        _side(settings, place or ours, key, alone=len(servers) == 1)
        for place, key in ((source, settings.copy_from_api_key), (target, settings.copy_to_api_key))
    ]
    if made[0].name == made[1].name:
        raise NoSide(f"the captions would be copied from {made[0].name} to itself; name another place")
    return made[0], made[1]


def _side(settings: Settings, place: str, key: str | None, *, alone: bool) -> Side:
    if "://" in place:
        try:
            place = ",".join(address.url for address in addresses(place))
        except BadAddress as exc:
            raise NoSide(str(exc)) from None
        # what the settings say of a server is meant for the one that they name, or for the only one there is
        meant = place == settings.qdrant_url or (settings.qdrant_url is None and alone)
        shown = key or (settings.qdrant_api_key if meant else None)
        update: dict[str, object] = {"qdrant_url": place, "qdrant_api_key": shown}
        if place != settings.qdrant_url:
            update["qdrant_grpc_port"] = _grpc_ports(settings, place, meant=meant)
        return Side(settings.model_copy(update=update), place)
    if find_spec("qdrant_edge") is None:
        raise NoSide(f"{place!r} needs Qdrant Edge, which is not installed here: pip install qdrant-edge-py")
    home = settings.home if place == EMBEDDED else Path(place).expanduser()
    if place != EMBEDDED and not home.is_dir():
        raise NoSide(
            f"{place!r} is neither a server's address, as http://localhost:6333, nor {EMBEDDED!r}, nor a folder that"
            " is a home of wildtag"
        )
    name = f"the embedded home {home.resolve()}"
    return Side(settings.model_copy(update={"qdrant_url": None, "home": home}), name)


def _grpc_ports(settings: Settings, url: str, *, meant: bool) -> tuple[int, ...]:
    """Those of a server which the settings do not name: REST alone, unless the port is known."""
    if meant and "qdrant_grpc_port" in settings.model_fields_set:
        return settings.qdrant_grpc_port
    usual = all(urlsplit(address.rest).port == REST_PORT for address in addresses(url))
    # where REST has another port than usual, so has gRPC, and its usual one may be another server's
    return (GRPC_PORT if usual and any(settings.qdrant_grpc_port) else 0,)


@contextmanager
def opened(side: Side, manifest: Manifest) -> Iterator[CaptionIndex]:
    """A version of this side; where a running stack owns it, its worker is asked, and goes on with its work."""
    up = running(side.settings)
    wiring = Wiring(up or side.settings)
    space_id, version = manifest.space_id, manifest.captions_version
    if up is not None and wiring.owned and space_id == wiring.space.id:
        index: CaptionIndex = wiring.remote_index(version)
    else:
        index = library_of(side.settings).open(space_id, version)
    try:
        yield index
    finally:
        index.close()


def found(side: Side, name: str, space_id: str) -> Manifest:
    """The manifest of a version of this side. Raises ``IndexMissing``."""
    library = library_of(side.settings)
    version = chosen(library, space_id, name)
    manifest = library.find(space_id, version)
    if manifest is None:
        library.open(space_id, version).close()  # says what is wrong
        raise NoSide(f"{version} is not in {side.name}")
    return manifest


def copied(
    source: Side, target: Side, manifest: Manifest, hooks: Hooks, *, resume: bool = True, taught: bool = False
) -> Report:
    """Copy a version, unless the target has it; ``taught`` then brings what was taught to the source alone.

    Raises ``VersionExists`` where the target has another version of that name, ``CopyDiffers``, and what
    ``vectordb.copying.copy`` raises.
    """
    library = library_of(target.settings)
    there = library.find(manifest.space_id, manifest.captions_version)
    with opened(source, manifest) as index:
        if there is not None:
            return _already(source, target, manifest, there, index, bring=taught)
        done: Copied = copy(index, manifest, library, hooks, resume=resume)
        count, learnt = done.count, done.taught
        # the graph may have taken minutes
        try:
            with opened(target, manifest) as made:
                learnt, count = level(index, made), made.count()
        except IndexLocked:
            pass  # it is in use already: whoever chose it may have taught it, too
    return Report(
        manifest, source.name, target.name, already=False, count=count, brought=done.brought, taught=learnt,
        searches=SEARCHES,
    )  # fmt: skip


def _already(
    source: Side, target: Side, manifest: Manifest, there: Manifest, index: CaptionIndex, *, bring: bool
) -> Report:
    if _what(there) != _what(manifest):
        raise VersionExists(
            f"another {manifest.captions_version} is in {target.name}: {there.count:,} captions of"
            f" {there.origin or 'unknown origin'}, made {there.created[:10]}; nothing was copied"
        )
    with opened(target, there) as made:
        learnt = missing(index, made, bring=bring)
        count = made.count()
    brought = learnt if bring else 0
    return Report(
        manifest, source.name, target.name, already=True, count=count, brought=brought, taught=learnt, searches=0
    )


def _what(manifest: Manifest) -> tuple[object, ...]:
    """What two versions of one name have in common where they hold the same captions."""
    m = manifest
    return m.space_id, m.dimension, m.count, m.source, m.template, m.profile


class Patience:
    """A ``Hooks.wait`` that says what is waited for, and gives up when there was no progress for too long."""

    def __init__(self, say: Callable[[str], None], patience_s: float = PATIENCE_S, pause_s: float = 2.0) -> None:
        self._say = say
        self._patience_s = patience_s
        self._pause_s = pause_s
        self._last = time.monotonic()

    def progress(self) -> None:
        """Something went on."""
        self._last = time.monotonic()

    def __call__(self, exc: Transient) -> None:
        """See ``Hooks.wait``."""
        if time.monotonic() - self._last > self._patience_s:
            raise exc
        self._say(str(exc))
        time.sleep(self._pause_s)
