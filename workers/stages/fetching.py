"""Fetches the images of a batch, and decides the outcome of every object without one.

==================================================  ============================================================
response of the store                               outcome
==================================================  ============================================================
the wanted version                                  ``images``
an object whose content type is not followed        ``skipped``; the content decides if the type tells nothing
another version, confirmed by HEAD                  ``changed``: that version is processed by its own event
no object, confirmed by HEAD                        ``changed``: a removal: the object is forgotten, or held
GET and HEAD disagree, as behind a stale cache      ``waiting``: retried until they agree or the ledger gives up
the object can never be read                        ``faults``
the store is unavailable, or refuses the requests   ``fetch`` raises ``Transient``, because all objects are affected
==================================================  ============================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import msgspec
import structlog

from tasks.images import HEAD, recognised
from tasks.message_parts import Fault, ObjectRef
from tasks.messages import Submitted
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.outcomes import Accepted
from workers.lifecycle.policy import POSTPONED_S
from workers.stages.changes import change_since
from workers.stages.handover import Handover
from workers.stores.object_filter import unknown_type
from workers.stores.store import ObjectError, ObjectGone, ObjectInfo, ObjectStore, ObjectUnwanted
from workers.telemetry.origin import of_request

log = structlog.get_logger()

NOT_FOLLOWED = "not-followed"
DISAGREE = "HEAD and GET disagree"

Followed = Callable[[str | None], bool]
"""Whether objects of a content type are tagged."""

FoundType = Callable[[str | None, str], bool]
"""Whether objects are tagged whose content type tells nothing, by it and the type of the content."""


def _any_type(_: str | None, __: str) -> bool:
    return True


@dataclass
class Fetched:
    """``images[i]`` belongs to ``refs[i]``. ``waiting``: objects to retry, each with its temporary fault.

    ``changed``: objects that have another version or are gone, each with the event of that, for the inbox.
    """

    refs: list[ObjectRef] = field(default_factory=list)
    images: list[bytes] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    skipped: list[Fault] = field(default_factory=list)
    waiting: list[tuple[ObjectRef, str]] = field(default_factory=list)
    changed: list[tuple[ObjectRef, ObjectEvent]] = field(default_factory=list)


def fetch(
    store: ObjectStore, refs: Sequence[ObjectRef], limit: int, followed: Followed,
    executor: Executor | None = None, found_type: FoundType = _any_type,
) -> Fetched:  # fmt: skip
    """Fetch objects of at most ``limit`` bytes. ``followed`` decides whether a content type is tagged.

    ``found_type``: decides it by the content, where the content type tells nothing. ``executor``: fetches several at
    a time. The order is kept.
    """

    def one(ref: ObjectRef) -> Fetched:
        found = Fetched()
        try:
            _one(store, ref, limit, followed, found_type, found)
        except ObjectError as exc:
            found.faults.append(Fault(_met(ref, exc.met), exc.code, str(exc)))
        return found

    together = Fetched()
    for found in executor.map(one, refs) if executor and len(refs) > 1 else map(one, refs):
        for name, values in vars(found).items():
            getattr(together, name).extend(values)
    return together


class Fetcher:
    """Fetches the objects of a batch that are still wanted. The rest: see ``fetch``."""

    def __init__(
        self, store: ObjectStore, handover: Handover, limit: int, followed: Followed,
        executor: Executor | None = None, found_type: FoundType = _any_type,
    ) -> None:  # fmt: skip
        self._store = store
        self._handover = handover
        self._limit = limit
        self._followed = followed
        self._executor = executor
        self._found_type = found_type

    def __call__(self, batch: Submitted, accepted: Accepted) -> tuple[Submitted, list[bytes], list[Fault]]:
        """Return the batch with the fetched objects, their images, and a fault for each object that cannot be read.

        All other objects are handled here: their events are appended to the inbox, or they are postponed or recorded
        as skipped.
        """
        wanted = [ref for ref in batch.objects if ref.id in accepted]
        found = fetch(self._store, wanted, self._limit, self._followed, self._executor, self._found_type)
        self._handover.announce(found.changed, batch.revision)
        for ref, fault in found.waiting:
            self._handover.postpone([ref], batch.revision, POSTPONED_S, fault)
        self._handover.fail(batch, found.skipped, accepted, "skipped")
        return msgspec.structs.replace(batch, objects=tuple(found.refs)), found.images, found.faults


def _one(
    store: ObjectStore, ref: ObjectRef, limit: int, followed: Followed, found_type: FoundType, found: Fetched
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
        kind = recognised(data[:HEAD], video=True) if unknown_type(info.content_type) else None
        if kind is not None and not found_type(info.content_type, kind):
            reason = f"its content is of type {kind}, which is not followed"
            found.skipped.append(Fault(_met(ref, info), NOT_FOLLOWED, reason))
            return
        found.refs.append(_met(ref, info))
        found.images.append(data)


def _differs(store: ObjectStore, ref: ObjectRef, got: ObjectInfo | None, found: Fetched) -> None:
    """Handle a GET without the wanted version. HEAD decides whether the object was overwritten or removed."""
    seen = store.stat(ref.bucket, ref.key)
    agreed = seen is not None or got is None
    event = change_since(ref, seen) if agreed else None
    if event is not None:
        found.changed.append((ref, event))
    else:
        fault = f"{DISAGREE}: HEAD returns {_version(seen)}, GET returns {_version(got)}"
        log.warning("disagreement", object=ref.id, etag=ref.etag, reason=fault, **of_request(ref))
        found.waiting.append((ref, fault))


def _version(info: ObjectInfo | None) -> str:
    return "no object" if info is None else f"the version {info.ref.etag}"


def _met(ref: ObjectRef, info: ObjectInfo | None) -> ObjectRef:
    """The object with what the store says of it. Events of a sweep have no version id."""
    if info is None:
        return ref
    return msgspec.structs.replace(
        ref, size=info.ref.size, version_id=info.ref.version_id or ref.version_id, user_metadata=info.user_metadata
    )
