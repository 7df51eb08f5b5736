"""Reaching the captions of a home: in its running stack, whose retrieval worker owns them, or opened here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tasks.encoders.protocols import TextEncoder
from vectordb.index import CaptionIndex, IndexLocked
from workers.captions.versions import chosen
from workers.embedded.stack import running
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

TRIES = 10


@contextmanager
def captions_of(wiring: Wiring) -> Iterator[CaptionIndex]:
    """The captions that these settings search: opened here, or where the running stack owns them, there."""
    version = wiring.revision.captions_version
    try:
        index: CaptionIndex = wiring.library.open(wiring.space.id, version)
    except IndexLocked:
        up = running(wiring.settings)
        if up is None:
            raise
        index = Wiring(up).remote_index(version)
    try:
        yield index
    finally:
        index.close()


@dataclass(frozen=True)
class AtHand:
    """One version and the text encoder of its space. ``encoder`` loads a model only where no stack runs."""

    captions_version: str
    index: CaptionIndex
    encoder: Callable[[], TextEncoder]


@contextmanager
def open_captions(settings: Settings, wanted: str | None = None) -> Iterator[AtHand]:
    """A version to be looked at or taught: by a running stack's workers where there is one."""
    up = running(settings)
    wiring = Wiring(up or settings)
    version = chosen(wiring.library, wiring.space.id, wanted or settings.captions)
    if up is not None and wiring.owned:
        index: CaptionIndex = wiring.remote_index(version)
    else:
        index = wiring.library.open(wiring.space.id, version)
    try:
        yield AtHand(
            version,
            index,
            lambda: wiring.text_encoder if up is None else wiring.remote_encoder,
        )
    finally:
        index.close()


def taken_over(settings: Settings, captions_version: str, work: Callable[[], None]) -> None:
    """Do what needs a version for oneself; a running stack closes it first, and waits for it meanwhile."""
    up = running(settings)
    for left in reversed(range(TRIES)):
        if up is not None and (wiring := Wiring(up)).owned:
            wiring.remote_index(captions_version).release()
        try:
            work()
        except IndexLocked:  # a batch came in between
            if not left:
                raise
        else:
            return
