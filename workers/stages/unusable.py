"""What becomes of objects that are no usable image: they fail, are skipped, or are looked at again.

=========================================================  =========================================
what was met                                               outcome
=========================================================  =========================================
neither the name nor the content is that of an image       ``skipped``: it never was meant to be one
empty, cut off or damaged, and changed a moment ago        looked at again: it may be being written
the same, and another version exists by now                that version is tagged
everything else                                            ``failed``
=========================================================  =========================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tasks.images import HEAD, recognised
from tasks.message_parts import Fault, ObjectRef
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.skipping import NOT_AN_IMAGE, TOO_LARGE, reason_to_skip, suffix_of
from workers.stages.changes import change_since
from workers.stores.store import ObjectError, ObjectStore

INCOMPLETE = frozenset({"empty", "truncated", "damaged", NOT_AN_IMAGE})
"""Codes of faults that a file may have while it is being written."""


@dataclass
class Unusable:
    """``waiting``: objects to look at again, each after so many seconds and with the reason.

    ``changed``: objects that have another version or are gone, each with the event of that, for the inbox.
    """

    failed: list[Fault] = field(default_factory=list)
    skipped: list[Fault] = field(default_factory=list)
    waiting: list[tuple[ObjectRef, float, str]] = field(default_factory=list)
    changed: list[tuple[ObjectRef, ObjectEvent]] = field(default_factory=list)


class Triage:
    """Decides it. ``grace_s``: after its last change, until a file that is being written fails.

    ``video``: whether videos are tagged.
    """

    def __init__(
        self, store: ObjectStore, grace_s: float, clock: Callable[[], float], *, video: bool = False
    ) -> None:
        self._store = store
        self._grace_s = grace_s
        self._clock = clock
        self._video = video

    def __call__(self, faults: Sequence[Fault], images: Mapping[str, bytes]) -> Unusable:
        """``images``: the bytes of those that could not be decoded, by id. Raises the errors of the store."""
        found = Unusable()
        for fault in faults:
            self._one(fault, images.get(fault.object.id), found)
        return found

    def _one(self, fault: Fault, data: bytes | None, found: Unusable) -> None:
        state, said = verdict(fault, data, video=self._video)
        # a name of another kind of file settles it; one without a suffix tells nothing, and an image may follow
        may_follow = state == "failed" or not suffix_of(fault.object.key)
        if may_follow and data is not None and fault.code in INCOMPLETE and self._looked_at_again(fault, found):
            return
        (found.failed if state == "failed" else found.skipped).append(said)

    def _looked_at_again(self, fault: Fault, found: Unusable) -> bool:
        ref = fault.object
        try:
            info = self._store.stat(ref.bucket, ref.key)
        except ObjectError:
            return False
        if (event := change_since(ref, info)) is not None:
            found.changed.append((ref, event))
            return True
        left = 0.0 if info is None or info.changed is None else info.changed + self._grace_s - self._clock()
        if left <= 0:
            return False
        reason = f"{fault.reason}; it has just been changed, so it is looked at again before it fails"
        found.waiting.append((ref, left, reason))
        return True


def verdict(fault: Fault, data: bytes | None, *, video: bool) -> tuple[Literal["failed", "skipped"], Fault]:
    """The state of an object that is no usable image, and the fault as it is recorded.

    ``data``: its content; ``None`` if it was not read, which is no reason to skip it unless it is too large.
    ``video``: whether videos are tagged, so that they count as images.
    """
    code = fault.code
    if data is None:
        if code != TOO_LARGE:
            return "failed", fault
    elif code != NOT_AN_IMAGE:
        if recognised(data[:HEAD], video=video) is not None:
            return "failed", fault
        code = NOT_AN_IMAGE
    reason = reason_to_skip(fault.object.key, code, fault.reason, video=video)
    return ("failed", fault) if reason is None else ("skipped", Fault(fault.object, NOT_AN_IMAGE, reason))
