"""The archive follows what is taught: images that a caption concerns are tagged again, at low priority.

A caption concerns an image if it is among the captions that are kept for it: nearer than the image's floor (see
``vectordb.images.ImageEntry``). That holds for a caption that was added, and for one that was removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import structlog

from tasks.hubness import ReferenceVectors
from tasks.message_parts import Floats, Vectors
from vectordb.decoders import from_msgpack
from vectordb.images import ImageEntry, ImageSearch
from workers.images.remote_images import OWNER
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.inbox import Inbox
from workers.redis.rpc import RpcClient

log = structlog.get_logger()

TASK = "wildtag.archive"
PAGE = 500  # events at a time


class Follow(msgspec.Struct, frozen=True):
    """Tag again the images that captions concern. ``vectors``: theirs. ``dry``: only count them."""

    vectors: Vectors
    captions_version: str
    dry: bool = False


class Followed(msgspec.Struct, frozen=True):
    """``images``: how many are concerned, each counted once. ``counts``: how many each caption concerns."""

    images: int
    counts: tuple[int, ...]


class Archive:
    """Finds and queues the images that captions concern, in the process that owns the index of images."""

    def __init__(
        self,
        images: Callable[[], ImageSearch],
        low_priority_inbox: Inbox,
        reference_vectors: Callable[[], ReferenceVectors | None],
    ) -> None:
        self._images = images
        self._inbox = low_priority_inbox
        self._reference_vectors = reference_vectors

    def follow(self, request: Follow) -> Followed:
        """See ``Follow``."""
        found: dict[int, ImageEntry] = {}
        counts = []
        for vector, hub in zip(request.vectors.array(), self._hubness(request.vectors.array()), strict=True):
            concerned = self._images().concerned(vector, hub, request.captions_version)
            counts.append(len(concerned))
            found |= {entry.id: entry for entry in concerned}
        if not request.dry:
            self._queue(list(found.values()))
        return Followed(len(found), tuple(counts))

    def _queue(self, entries: Sequence[ImageEntry]) -> None:
        for start in range(0, len(entries), PAGE):
            # without an ETag, the dispatcher checks whether the object exists and which version it is
            self._inbox.append(
                [ObjectEvent("created", one.bucket, one.key, force=True) for one in entries[start : start + PAGE]]
            )
        if entries:
            log.info("archive follows", images=len(entries))

    def _hubness(self, vectors: Floats) -> list[float]:
        reference = self._reference_vectors()
        if reference is None:
            return [0.0] * len(vectors)
        return [reference.of(vector) for vector in vectors]


class RemoteArchive:
    """The archive of a running stack."""

    def __init__(self, rpc: RpcClient) -> None:
        self._rpc = rpc

    def reachable(self, captions_version: str) -> Callable[[Floats], Followed]:
        """A function that raises if the archive could not follow captions with these vectors."""
        return lambda vectors: self.follow(vectors, captions_version, dry=True)

    def follow(self, vectors: Floats, captions_version: str, *, dry: bool = False) -> Followed:
        """See ``Follow``. Raises ``RpcTimeout``, ``RpcTransient`` or ``RpcPermanent``."""
        if not len(vectors):
            return Followed(0, ())
        request = Follow(Vectors.of(vectors), captions_version, dry)
        data = self._rpc.ask(OWNER, TASK, msgspec.msgpack.encode(request), "follow captions")
        return from_msgpack(data, Followed)
