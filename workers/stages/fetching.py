"""Fetching: the images of a batch, and an outcome for every object that has none.

===============================================  ======================================================
what the store says                              outcome
===============================================  ======================================================
the version that is wanted                       its bytes
an object of a kind that is not followed         ``skipped``
another version, and HEAD tells of it too        ``told``: that version has its own turn
no object, and HEAD tells of none                ``told``: it is gone, and is forgotten
HEAD and GET disagree, as behind a stale cache   ``waiting``: they will agree, or the ledger gives up
it cannot be read, now or later                  ``faults``
the store is away, or refuses us                 ``Transient`` leaves ``fetch``: it concerns all objects
===============================================  ======================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec
import structlog

from tasks.messages import Fault, ObjectRef, Submitted
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.outcomes import Accepted
from workers.lifecycle.policy import POSTPONED_S
from workers.stages.handover import Handover
from workers.stores.store import ObjectError, ObjectGone, ObjectInfo, ObjectStore, ObjectUnwanted

log = structlog.get_logger()

NOT_FOLLOWED = "not-followed"
DISAGREE = "HEAD and GET disagree"


@dataclass
class Fetched:
    """``images[i]`` is of ``refs[i]``. ``waiting``: objects with the fault that will pass."""

    refs: list[ObjectRef] = field(default_factory=list)
    images: list[bytes] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    skipped: list[Fault] = field(default_factory=list)
    waiting: list[tuple[ObjectRef, str]] = field(default_factory=list)
    told: list[ObjectEvent] = field(default_factory=list)


def fetch(
    store: ObjectStore, refs: Iterable[ObjectRef], limit: int, followed: Callable[[str | None], bool]
) -> Fetched:
    """Fetch objects of at most ``limit`` bytes. ``followed`` says of a content type whether it is tagged."""
    found = Fetched()
    for ref in refs:
        try:
            _one(store, ref, limit, followed, found)
        except ObjectError as exc:
            found.faults.append(Fault(_met(ref, exc.met), exc.code, str(exc)))
    return found


class Fetcher:
    """Fetches the objects of a batch that are still wanted. ``limit``, ``followed``: see ``fetch``."""

    def __init__(
        self, store: ObjectStore, handover: Handover, limit: int, followed: Callable[[str | None], bool]
    ) -> None:
        self._store = store
        self._handover = handover
        self._limit = limit
        self._followed = followed

    def __call__(self, batch: Submitted, accepted: Accepted) -> tuple[Submitted, list[bytes], list[Fault]]:
        """The batch with the objects that were fetched, their images, and a fault for each that cannot be read.

        The others are settled: they are told of anew, postponed, or recorded as skipped.
        """
        wanted = [ref for ref in batch.objects if ref.id in accepted]
        found = fetch(self._store, wanted, self._limit, self._followed)
        self._handover.tell(found.told)
        for ref, fault in found.waiting:
            self._handover.postpone([ref], batch.revision, POSTPONED_S, fault)
        self._handover.fail(batch, found.skipped, accepted, "skipped")
        return msgspec.structs.replace(batch, objects=tuple(found.refs)), found.images, found.faults


def _one(
    store: ObjectStore, ref: ObjectRef, limit: int, followed: Callable[[str | None], bool], found: Fetched
) -> None:
    def wanted(info: ObjectInfo) -> bool:
        return info.ref.etag == ref.etag and followed(info.content_type)

    try:
        data, info = store.get(ref.bucket, ref.key, limit, wanted)
    except ObjectGone:
        _differs(store, ref, None, found)
    except ObjectUnwanted as exc:
        if exc.met.ref.etag != ref.etag:
            _differs(store, ref, exc.met, found)
        else:
            reason = f"objects of type {exc.met.content_type} are not followed"
            found.skipped.append(Fault(_met(ref, exc.met), NOT_FOLLOWED, reason))
    else:
        found.refs.append(_met(ref, info))
        found.images.append(data)


def _differs(store: ObjectStore, ref: ObjectRef, got: ObjectInfo | None, found: Fetched) -> None:
    """GET does not give the version that is wanted. HEAD decides whether there is another one by now, or none."""
    seen = store.stat(ref.bucket, ref.key)
    if seen is None and got is None:
        log.info("gone", object=ref.id, etag=ref.etag, reason="it was removed before it was fetched")
        found.told.append(ObjectEvent("removed", ref.bucket, ref.key, verified=True))
    elif seen is not None and seen.ref.etag != ref.etag:
        log.info("overwritten", object=ref.id, etag=ref.etag, by=seen.ref.etag)
        found.told.append(ObjectEvent.seen(seen))
    else:
        fault = f"{DISAGREE}: {_said(seen)} by the one, {_said(got)} by the other"
        log.warning("disagreement", object=ref.id, etag=ref.etag, reason=fault)
        found.waiting.append((ref, fault))


def _said(info: ObjectInfo | None) -> str:
    return "no object" if info is None else f"the version {info.ref.etag}"


def _met(ref: ObjectRef, info: ObjectInfo | None) -> ObjectRef:
    """The object with what its store has told of this version: a sweep knows no version ids."""
    if info is None:
        return ref
    return msgspec.structs.replace(ref, size=info.ref.size, version_id=info.ref.version_id or ref.version_id)
