"""Stores the images of a request and writes their events: of all of them, or of none.

After a fault the images that were stored already are removed again. While the store is unavailable that is not
possible, so it is tried again until it succeeds. If the gateway is killed before that, the sweep finds these images,
as it finds one whose upload was cut off between the store and its event. An image whose key may be used again is left
to the sweep, too: a later removal might hit the next attempt, which may be at another gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import structlog

from tasks.message_parts import UserMetadata
from vectordb.errors import Permanent, Transient, WildtagError
from workers.gateway.origins import of_this_request
from workers.gateway.own_metadata import OwnMetadata
from workers.gateway.segments import SegmentationMethod, Segments
from workers.gateway.services import Services
from workers.lifecycle.event import ObjectEvent

log = structlog.get_logger()

AGAIN_S = 2.0  # seconds between two attempts to remove
MOST = 10_000  # images that are remembered for that


@dataclass(frozen=True)
class StoredImage:
    """An image that is to be stored. ``file``: opens it; has ``read()``."""

    key: str
    file: Callable[[], Any]
    content_type: str
    user_metadata: UserMetadata | None


class Storing:
    """Stores images in one bucket. Thread-safe."""

    def __init__(self, services: Services, segments: Segments, bucket: str, own_metadata: OwnMetadata) -> None:
        self._services = services
        self._segments = segments
        self._bucket = bucket
        self._own_metadata = own_metadata
        self._left: set[str] = set()  # keys that are still to be removed

    def put(
        self, images: Iterable[StoredImage], method: SegmentationMethod | None, *, remove_later: bool = True
    ) -> None:
        """Store images and write their events. Blocks. Raises the errors of the store and of reading an image.

        ``images`` is read on when the image before has been read to its end. Nothing is stored after an error.
        ``remove_later``: false if another attempt may store images with the same keys.
        """
        events, begun, began = [], [], time.time()
        try:
            for image in images:
                begun.append(image.key)
                self._segments.request([f"{self._bucket}/{image.key}"], method)  # before a watcher can see the object
                info = self._services.store.put(
                    self._bucket, image.key, image.file(), image.content_type, image.user_metadata
                )
                self._own_metadata.note(f"{self._bucket}/{image.key}", info.ref.etag, info.user_metadata)
                events.append(ObjectEvent.seen(info))
            self._services.inbox.append(of_this_request(events, began, said="image accepted"))
        except BaseException as exc:
            stored = len(events)
            # whether the one after these was stored is not known if the response of the store was lost
            left = self._withdraw(begun[:stored])
            if remove_later:
                left += begun[stored:] if isinstance(exc, Transient) else []
                self._left.update(left[: MOST - len(self._left)])
            raise

    def _withdraw(self, stored: Iterable[str]) -> list[str]:
        """Remove images now. Returns those that could not be removed."""
        left = list(stored)
        try:
            while left:
                self._services.store.remove(self._bucket, left[0])
                del left[0]
        except WildtagError as exc:
            log.warning("images of a failed upload are still stored", images=len(left), reason=str(exc))
        return left

    async def removing(self) -> None:
        """Remove what could not be removed after a fault, until cancelled."""
        while True:
            await asyncio.sleep(AGAIN_S)
            if self._left:
                with contextlib.suppress(Transient):
                    await anyio.to_thread.run_sync(self._remove_left, abandon_on_cancel=True)

    def _remove_left(self) -> None:
        for key in list(self._left):
            try:
                self._services.store.remove(self._bucket, key)
            except Permanent as exc:
                log.warning("an image of a failed upload cannot be removed", key=key, reason=str(exc))
            self._left.discard(key)
