"""Upload many files to the gateway with several concurrent uploads, and wait for their tags at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from vectordb.errors import WildtagError
from workers.client import ApiError, Away, Image, NotFinished, StrangeAnswer
from workers.lifecycle.record import Error
from workers.lifecycle.skipping import NOT_AN_IMAGE, reason_to_skip

UPLOADS = 4
OF_ONE_FILE = frozenset({408, 413, 414, 431})  # errors of a proxy that may not concern the other files
AWAITED = 16  # images whose tags are awaited at the same time: about one batch


@dataclass(frozen=True)
class Sent:
    """The outcome of one file. ``image`` with an ``error``: it is stored, but was not finished.

    ``hopeless``: uploading the other files would fail in the same way. ``skipped``: it was not meant to be an image.
    ``late``: it was uploaded, and will be tagged after the time that was waited.
    """

    path: Path
    image: Image | None = None
    error: Error | None = None
    hopeless: bool = False
    skipped: bool = False
    late: bool = False

    @property
    def fine(self) -> bool:
        """Whether there was no error so far."""
        return self.error is None and self.image is not None and self.image.state not in {"failed", "dead"}


class Sending:
    """Uploads files with ``upload`` and waits for their images with ``settle``, both called in threads.

    The threads are daemons: Ctrl-C does not wait for requests in flight.
    """

    def __init__(
        self, paths: Sequence[Path], upload: Callable[[Path], Image], settle: Callable[[Image], Image], *,
        video: bool = False,
    ) -> None:  # fmt: skip
        """``video``: whether videos are tagged."""
        self._video = video
        self._upload = upload
        self._settle = settle
        self._left = len(paths)
        self._files: SimpleQueue[Path] = SimpleQueue()
        self._uploaded: SimpleQueue[tuple[Path, Image]] = SimpleQueue()
        self._finished: SimpleQueue[Sent | Exception] = SimpleQueue()
        self._stopped = threading.Event()
        for path in paths:
            self._files.put(path)

    def __iter__(self) -> Iterator[Sent]:
        """Each file once, as soon as its outcome is known. Stops after one that is ``hopeless``."""
        works = [self._uploading] * min(UPLOADS, self._left) + [self._settling] * min(AWAITED, self._left)
        for work in works:
            threading.Thread(target=work, daemon=True).start()
        for _ in range(self._left):
            sent = self._finished.get()
            if isinstance(sent, Exception):
                raise sent
            yield sent
            if sent.hopeless:
                break
        self._stopped.set()

    def _uploading(self) -> None:
        while not self._stopped.is_set():
            try:
                path = self._files.get_nowait()
            except Empty:
                return
            try:
                self._uploaded.put((path, self._upload(path)))
            except Exception as exc:  # the main thread raises or reports it
                self._finished.put(_failed(path, None, exc, video=self._video))

    def _settling(self) -> None:
        while not self._stopped.is_set():
            path, image = self._uploaded.get()
            try:
                self._finished.put(Sent(path, self._settle(image)))
            except Exception as exc:  # as above
                self._finished.put(_failed(path, image, exc, video=self._video))


def _failed(path: Path, image: Image | None, exc: Exception, *, video: bool) -> Sent | Exception:
    """The outcome of a file that failed. An unexpected exception is returned unchanged."""
    match exc:
        case ApiError() if image is None and (reason := reason_to_skip(path.name, exc.type, exc.detail, video=video)):
            return Sent(path, None, Error(NOT_AN_IMAGE, reason), skipped=True)
        case ApiError():
            hopeless = exc.status in {401, 403} or not (exc.of_gateway or exc.status in OF_ONE_FILE)
            return Sent(path, image, Error(exc.type, exc.detail), hopeless=hopeless)
        case NotFinished():
            return Sent(path, image, Error("not-finished", str(exc)), late=True)
        case WildtagError():
            hopeless = isinstance(exc, Away | StrangeAnswer)
            return Sent(path, image, Error(getattr(exc, "code", "refused"), str(exc)), hopeless=hopeless)
        case OSError():
            return Sent(path, image, Error("unreadable", exc.strerror or str(exc)))
    return exc
