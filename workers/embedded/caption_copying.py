"""Copy captions between embedded homes and Qdrant servers, in any direction.

A *side* holds the settings of one of the two places. They leave out the API key and the gRPC port of the other side,
so that no key is sent to the wrong server.
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
PATIENCE_S = 600.0  # a longer outage of a side ends the copy, which can be resumed


class BadSide(Permanent):
    """A name is neither a Qdrant server nor a home of wildtag, or both sides are the same."""


@dataclass(frozen=True)
class Side:
    """A place that holds captions, and its name in messages."""

    settings: Settings
    name: str


@dataclass(frozen=True)
class Report:
    """The outcome: the target holds ``count`` captions, ``brought`` of them copied by this call.

    ``already``: the target had the version before. ``taught``: number of taught captions in the target; with
    ``already``, number of captions taught only to the source. ``searches``: number of searches that were compared.
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
    """Source and target: a server's URL, ``embedded``, the folder of a home, or by default that of the settings.

    Raises ``BadSide``.
    """
    if source is None and target is None:
        raise BadSide("give the target with --to http://HOST:6333 or --to embedded, or the source with --from")
    ours = settings.qdrant_url or EMBEDDED
    servers = [place for place in (source or ours, target or ours) if "://" in place]
    made = [
        _side(settings, place or ours, key, alone=len(servers) == 1)
        for place, key in ((source, settings.copy_from_api_key), (target, settings.copy_to_api_key))
    ]
    if made[0].name == made[1].name:
        raise BadSide(f"source and target are the same: {made[0].name}; name another place")
    return made[0], made[1]


def _side(settings: Settings, place: str, key: str | None, *, alone: bool) -> Side:
    if "://" in place:
        try:
            place = ",".join(address.url for address in addresses(place))
        except BadAddress as exc:
            raise BadSide(str(exc)) from None
        # settings of a server apply to the server that they name, or to the only one
        meant = place == settings.qdrant_url or (settings.qdrant_url is None and alone)
        shown = key or (settings.qdrant_api_key if meant else None)
        update: dict[str, object] = {"qdrant_url": place, "qdrant_api_key": shown}
        if place != settings.qdrant_url:
            update["qdrant_grpc_port"] = _grpc_ports(settings, place, meant=meant)
        return Side(settings.model_copy(update=update), place)
    if find_spec("qdrant_edge") is None:
        raise BadSide(f"{place!r} needs Qdrant Edge, which is not installed: pip install qdrant-edge-py")
    home = settings.home if place == EMBEDDED else Path(place).expanduser()
    if place != EMBEDDED and not home.is_dir():
        raise BadSide(
            f"{place!r} is not a place: give the URL of a server such as http://localhost:6333, {EMBEDDED!r}, or the"
            " folder of a home of wildtag"
        )
    name = f"the embedded home {home.resolve()}"
    return Side(settings.model_copy(update={"qdrant_url": None, "home": home}), name)


def _grpc_ports(settings: Settings, url: str, *, meant: bool) -> tuple[int, ...]:
    """The gRPC ports of a server that is not in the settings; 0 (REST only) unless they are known."""
    if meant and "qdrant_grpc_port" in settings.model_fields_set:
        return settings.qdrant_grpc_port
    usual = all(urlsplit(address.rest).port == REST_PORT for address in addresses(url))
    # with another REST port than usual, the usual gRPC port may belong to another server
    return (GRPC_PORT if usual and any(settings.qdrant_grpc_port) else 0,)


@contextmanager
def opened(side: Side, manifest: Manifest) -> Iterator[CaptionIndex]:
    """A version of this side, through the worker of the running stack if that owns it."""
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
        library.open(space_id, version).close()  # raises the reason
        raise BadSide(f"{version} is not in {side.name}")
    return manifest


def copied(
    source: Side, target: Side, manifest: Manifest, hooks: Hooks, *, resume: bool = True, taught: bool = False
) -> Report:
    """Copy a version, unless the target has it. ``taught``: then copy the captions taught only to the source.

    Raises ``VersionExists`` if the target has a different version of that name, ``CopyDiffers``, and what
    ``vectordb.copying.copy`` raises.
    """
    library = library_of(target.settings)
    there = library.find(manifest.space_id, manifest.captions_version)
    with opened(source, manifest) as index:
        if there is not None:
            return _already(source, target, manifest, there, index, bring=taught)
        done: Copied = copy(index, manifest, library, hooks, resume=resume)
        count, learnt = done.count, done.taught
        # building the graph may have taken minutes
        try:
            with opened(target, manifest) as made:
                learnt, count = level(index, made), made.count()
        except IndexLocked:
            pass  # it is in use already, and may have been taught since
    return Report(
        manifest, source.name, target.name, already=False, count=count, brought=done.brought, taught=learnt,
        searches=SEARCHES,
    )  # fmt: skip


def _already(
    source: Side, target: Side, manifest: Manifest, there: Manifest, index: CaptionIndex, *, bring: bool
) -> Report:
    if _properties(there) != _properties(manifest):
        raise VersionExists(
            f"{target.name} has a different {manifest.captions_version}: {there.count:,} captions of"
            f" {there.origin or 'unknown origin'}, created {there.created[:10]}."
            " Nothing was copied; drop that version first"
        )
    with opened(target, there) as made:
        learnt = missing(index, made, bring=bring)
        count = made.count()
    brought = learnt if bring else 0
    return Report(
        manifest, source.name, target.name, already=True, count=count, brought=brought, taught=learnt, searches=0
    )


def _properties(manifest: Manifest) -> tuple[object, ...]:
    """The properties that are equal in two copies of the same version."""
    m = manifest
    return m.space_id, m.dimension, m.count, m.source, m.template, m.profile


class Patience:
    """A ``Hooks.wait`` that reports the fault, and gives up after too long a time without progress."""

    def __init__(self, say: Callable[[str], None], patience_s: float = PATIENCE_S, pause_s: float = 2.0) -> None:
        self._say = say
        self._patience_s = patience_s
        self._pause_s = pause_s
        self._last = time.monotonic()

    def progress(self) -> None:
        """Record progress."""
        self._last = time.monotonic()

    def __call__(self, exc: Transient) -> None:
        """See ``Hooks.wait``."""
        if time.monotonic() - self._last > self._patience_s:
            raise exc
        self._say(str(exc))
        time.sleep(self._pause_s)
