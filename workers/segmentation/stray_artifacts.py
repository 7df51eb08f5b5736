"""Artifacts that Redis does not know, or that no record names: what a pass over a bucket does with them.

Redis lists the objects with artifacts, and their records name them. Both are lost with the data of Redis, and a
version that is not segmented leaves the artifacts of the one before. So each pass compares what is stored:

- A record names them: they are listed, so that they are removed with their object.
- The object is in the bucket, they are not listed, and it is not segmented: somebody wanted the segmentation. It is
  requested again, with the method that the label map names, and replaces them.
- They are listed, and the object's record, written since, is without a segmentation: they are removed.
- The object is not in the bucket: they are removed; if they were not listed, a day after they were written, because
  the bucket may be being restored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import structlog

from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import EventInbox
from workers.lifecycle.record_reader import Records, in_pages
from workers.segmentation.artifact_names import FOLDER, KEY, LABELS, METHOD, is_digest, keys_of, name_in, texts_of
from workers.segmentation.artifacts import Artifacts
from workers.segmentation.requests import SegmentationRequests
from workers.stores.lookup import look
from workers.stores.store import ObjectError, ObjectInfo, ObjectStore

log = structlog.get_logger()

PAGE = 250  # artifacts that are compared at a time
LABEL_MAP_BYTES = 64 << 20  # of which so many are read at most
YOUNG_S = 86_400.0  # seconds after they were written in which artifacts without an object stay


class StrayArtifacts:
    """Compares the artifacts of a bucket. Raises ``StoreUnavailable`` and the errors of the object store."""

    def __init__(
        self,
        store: ObjectStore,
        records: Records,
        artifacts: Artifacts,
        requests: SegmentationRequests,
        inbox: EventInbox,
        clock: Callable[[], float],
        *,
        output: str,
        followed: Callable[[str], bool],
        rule: Callable[[str], str],
        methods: Sequence[str],
    ) -> None:
        """``output``: the prefix of all keys that wildtag writes.

        ``followed``: whether objects of this key are tagged. ``rule``: the method for objects of this key without a
        request, or empty. ``methods``: those that are available, the usual one first.
        """
        self._store = store
        self._records = records
        self._artifacts = artifacts
        self._requests = requests
        self._inbox = inbox
        self._clock = clock
        self._output = output
        self._followed = followed
        self._rule = rule
        self._methods = methods

    def compare(self, bucket: str) -> Iterator[int]:
        """Go through the artifacts of a bucket. Yields after each page how many segmentations it has requested."""
        for page in in_pages(self._store.list(bucket, f"{self._output}{FOLDER}"), PAGE):
            objects: dict[str, ObjectInfo] = {}
            for info in page:
                key = self._object_of(bucket, info)
                if key is not None:
                    objects[key] = info
            yield self._compared(bucket, objects)

    def _object_of(self, bucket: str, info: ObjectInfo) -> str | None:
        """The key of the object of an artifact; ``None`` if it cannot be told."""
        name = name_in(self._output, info.ref.key)
        if name is None or not is_digest(name):
            return name
        key = self._texts(bucket, f"{self._output}{FOLDER}{name}{LABELS}").get(KEY, "")
        return key if name_in(self._output, keys_of(self._output, key).label_map) == name else None

    def _texts(self, bucket: str, label_map: str) -> dict[str, str]:
        try:
            data, _ = self._store.get(bucket, label_map, LABEL_MAP_BYTES)
        except ObjectError:
            return {}
        return texts_of(data)

    def _compared(self, bucket: str, objects: dict[str, ObjectInfo]) -> int:
        oids = [f"{bucket}/{key}" for key in objects]
        listed = dict(zip(objects, self._artifacts.listed(oids), strict=True))
        now = self._now(bucket, list(objects))
        unlisted = [key for key, one in now.items() if one.segmented and not listed[key]]
        odd = [key for key, one in now.items() if not one.segmented and not (one.busy and listed[key])]
        found = look(self._store, ((bucket, key) for key in odd))
        wanted: list[str] = []
        for key in odd:
            there = found[bucket, key]
            if isinstance(there, ObjectInfo):
                if not listed[key]:
                    wanted.append(key)
                elif now[key].recorded:
                    self._remove(bucket, key, "the record is of another version, or of tags only")
            elif there is None and (listed[key] or self._clock() - (objects[key].modified or 0) > YOUNG_S):
                self._remove(bucket, key, "the object is not in the bucket")
        asked = self._request(bucket, [key for key in wanted if self._followed(key) and not now[key].failed])
        self._artifacts.adopt([f"{bucket}/{key}" for key in (*unlisted, *wanted)])
        return asked

    def _now(self, bucket: str, keys: Sequence[str]) -> dict[str, _Now]:
        oids = [f"{bucket}/{key}" for key in keys]
        in_progress, heads = self._records.known(oids), self._records.heads.of(oids)
        return {
            key: _Now(bool(etag), head is not None, bool(head and head.segment), bool(head and head.state != "done"))
            for key, (_, etag), head in zip(keys, in_progress, heads, strict=True)
        }

    def _remove(self, bucket: str, key: str, why: str) -> None:
        """Remove the artifacts of an object, unless it is being segmented or will be."""
        oid, (now,) = f"{bucket}/{key}", self._now(bucket, [key]).values()
        if now.busy or now.segmented or any(self._requests.pending([oid])):
            return
        self._artifacts.remove(oid)
        log.info("artifacts removed", object=oid, reason=why)

    def _request(self, bucket: str, keys: Sequence[str]) -> int:
        """Request the segmentation of those that nothing else has segmented. Returns their number."""
        pending = self._requests.pending([f"{bucket}/{key}" for key in keys])
        asked = [key for key, waits in zip(keys, pending, strict=True) if not waits and not self._rule(key)]
        for key in asked:
            method = self._texts(bucket, keys_of(self._output, key).label_map).get(METHOD, "")
            self._requests.ask([f"{bucket}/{key}"], method if method in self._methods else self._methods[0])
        # an object in progress has the request; one without a record gets it from its event, which the pass has added
        again = [key for key, now in self._now(bucket, asked).items() if now.recorded and not now.busy]
        self._inbox.append([ObjectEvent("created", bucket, key, force=True) for key in again])
        if asked:
            log.warning("segmentation requested again", objects=len(asked), example=asked[0], reason="its request"
                        " was lost, and its label map is there")  # fmt: skip
        return len(asked)


class _Now(NamedTuple):
    """Of an object: whether it is in progress; has a record; one with a segmentation; one without tags."""

    busy: bool
    recorded: bool
    segmented: bool
    failed: bool
