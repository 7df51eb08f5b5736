"""The registry of versions on a Qdrant server, and of their builders: points in a small collection.

A version has one point with its ``Record`` and, while it is built or dropped, one with the *claim*. Both ids are
derived from space and version. A claim is taken by one conditional write (Qdrant 1.16), so of two builders on two
machines one is refused. A thread renews it every 15 seconds. If its builder is dead it expires after a minute; on the
same machine at once. The clocks of the machines may differ: a claim that looks expired is watched for two renewals
before another one takes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

from qdrant_client import QdrantClient, models

from vectordb.errors import WildtagError
from vectordb.index import IndexExists, IndexMissing
from vectordb.library import BuildRunning, Manifest
from vectordb.server_client import ask, ask_once, is_local

BUILDING, RESTORING, WHOLE, DROPPED = "building", "restoring", "whole", "dropped"

BEAT_S = 15.0
LAPSE_S = 60.0  # a claim that was not renewed for this long has expired

_PAGE = 256


@dataclass(frozen=True)
class Record:
    """A version in one of four states; only a ``WHOLE`` one has a manifest and is visible.

    ``build`` identifies the build that created the collection; a journal belongs to one build only.
    """

    space_id: str
    captions_version: str
    collection: str
    state: str
    build: str
    manifest: Manifest | None = None


class Claim:
    """The exclusive right to change a version."""

    def __init__(self, registry: Registry, record_key: str, owner: str) -> None:
        """Used by ``Registry.claimed``."""
        self._registry = registry
        self._key = record_key
        self._owner = owner

    def renewed(self) -> bool:
        """Take or renew the claim; false if somebody else has it."""
        return self._registry.take(self._key, self._owner)

    def release(self) -> None:
        """Release the claim."""
        self._registry.release(self._key, self._owner)


class Registry:
    """The collection ``PREFIXregistry``. The first claim creates it; without it there are no versions."""

    def __init__(self, client: QdrantClient, prefix: str, *, replicas: int = 1, beat_s: float = BEAT_S) -> None:
        """Makes no request."""
        self._client = client
        self._collection = f"{prefix}registry"
        self._replicas = replicas
        self._beat_s = beat_s

    def record(self, space_id: str, captions_version: str) -> Record | None:
        """The record of a version."""
        try:
            points = ask(self._client.retrieve, self._collection, [_id("record", space_id, captions_version)])
        except IndexMissing:
            return None
        return _record(points[0]) if points else None

    def records(self) -> list[Record]:
        """The records of all versions, unordered."""
        found: list[Record | None] = []
        offset: Any = None
        while True:
            try:
                points, offset = ask(self._client.scroll, self._collection, limit=_PAGE, offset=offset)
            except IndexMissing:
                return []
            found += map(_record, points)
            if offset is None:
                return [record for record in found if record]

    def put(self, record: Record) -> None:
        """Store a record. Requires the claim."""
        point_id = _id("record", record.space_id, record.captions_version)
        manifest = record.manifest.stored() if record.manifest else None
        self._write(point_id, {"record": {**asdict(record), "manifest": manifest}})

    def forget(self, record: Record) -> None:
        """Delete a record. Requires the claim."""
        ids = models.PointIdsList(points=[_id("record", record.space_id, record.captions_version)])
        ask(self._client.delete, self._collection, ids, wait=True)

    @contextmanager
    def claimed(self, space_id: str, captions_version: str, owner: str | None = None) -> Iterator[Claim]:
        """Claims a version exclusively over all machines. Raises ``BuildRunning``.

        ``owner``: the name of the claimant, for callers that exclude each other by other means. A claim that a killed
        process left can then be taken at once.
        """
        self._prepare()
        key, owner = f"{space_id}/{captions_version}", owner or uuid4().hex
        claim = Claim(self, key, owner)
        if not self.take(key, owner, self._abandoned(key, owner)):
            raise BuildRunning(
                f"{captions_version} is being built or dropped by another process, perhaps on another machine;"
                " try again later"
            )
        done = threading.Event()
        beat = threading.Thread(target=self._keep, args=(claim, done), name="claim", daemon=True)
        beat.start()
        try:
            yield claim
        finally:
            done.set()
            beat.join()
            with contextlib.suppress(WildtagError):  # it expires by itself
                claim.release()

    def take(self, key: str, owner: str, abandoned: float | None = None) -> bool:
        """Used by ``Claim``. Writes the point if there is none, if it has the same owner, or this last renewal."""
        other = self._holder(key)
        # older servers ignore the condition; reading first leaves a race of milliseconds
        if other and other["owner"] != owner and other["beat"] != abandoned:
            return False
        free = [models.FieldCondition(key="owner", match=models.MatchValue(value=owner))]
        if abandoned is not None:
            free.append(models.FieldCondition(key="beat", range=models.Range(gte=abandoned, lte=abandoned)))
        self._write(_id("claim", key), {"owner": owner, "beat": time.time()}, models.Filter(should=[*free]))
        return self._holder(key).get("owner") == owner

    def _abandoned(self, key: str, owner: str) -> float | None:
        """The last renewal of another owner who makes no further ones, which takes two renewals to see.

        ``None`` if there is none, or if the last one looks recent.
        """
        other, now = self._holder(key), time.time()
        if not other or other["owner"] == owner or now - LAPSE_S <= other["beat"] <= now + LAPSE_S:
            return None
        until = time.monotonic() + 2 * self._beat_s
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(1.0, left))
            if self._holder(key) != other:
                return None
        return float(other["beat"])

    def release(self, key: str, owner: str) -> None:
        """Used by ``Claim``. Does not delete another owner's."""
        ours = models.Filter(
            must=[
                models.HasIdCondition(has_id=[_id("claim", key)]),
                models.FieldCondition(key="owner", match=models.MatchValue(value=owner)),
            ]
        )
        ask(self._client.delete, self._collection, models.FilterSelector(filter=ours), wait=True)

    def _keep(self, claim: Claim, done: threading.Event) -> None:
        while not done.wait(self._beat_s):
            # the server may recover in time; a lost claim is detected when it is needed
            with contextlib.suppress(WildtagError):
                claim.renewed()

    def _holder(self, key: str) -> dict[str, Any]:
        points = ask(self._client.retrieve, self._collection, [_id("claim", key)])
        return (points[0].payload if points else None) or {}

    def _prepare(self) -> None:
        if ask(self._client.collection_exists, self._collection):
            return
        with contextlib.suppress(IndexExists):  # created by another process meanwhile
            # unused, but every collection needs a vector
            vectors = models.VectorParams(size=1, distance=models.Distance.DOT)
            ask_once(self._client.create_collection, self._collection, vectors, replication_factor=self._replicas)
        if not is_local(self._client):  # a strict server requires an index for filters
            for key, kind in (("owner", models.PayloadSchemaType.KEYWORD), ("beat", models.PayloadSchemaType.FLOAT)):
                ask(self._client.create_payload_index, self._collection, key, kind)

    def _write(self, point_id: int, payload: dict[str, Any], only: models.Filter | None = None) -> None:
        point = models.PointStruct(id=point_id, vector=[1.0], payload=payload)
        ask(
            self._client.upsert,
            self._collection,
            [point],
            wait=True,
            # one node orders the writes of all replicas; STRONG would need a specific node, which may be down
            ordering=models.WriteOrdering.MEDIUM,
            update_filter=only,
        )


def _id(*parts: str) -> int:
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "big")


def _record(point: models.Record) -> Record | None:
    """The record in a point; ``None`` if it has an unknown format."""
    payload = (point.payload or {}).get("record")
    if payload is None:
        return None
    try:
        manifest = payload.pop("manifest")
        return Record(**payload, manifest=Manifest(**manifest) if manifest else None)
    except (KeyError, TypeError):
        return None
