"""What becomes of objects that are no usable image: failed, skipped, or looked at again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from tasks.message_parts import Fault, ObjectRef
from tests.acceptance.images import one_pixel
from workers.stages.unusable import Triage, Unusable, verdict
from workers.stores.store import ObjectForbidden, ObjectInfo

NOW = 1000.0
PNG = one_pixel()
TEXT = b"this is a text, whatever its name says"


@dataclass
class Store:
    """One that holds one object."""

    met: ObjectInfo | None = None
    forbidden: bool = False

    def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        assert bucket == "inbox"
        if self.forbidden:
            raise ObjectForbidden("no permission")
        return self.met if self.met is None or self.met.ref.key == key else None


def ref(key: str, etag: str = "e") -> ObjectRef:
    return ObjectRef("inbox", key, etag, 3)


def outcome(
    key: str, data: bytes | None, code: str, age: float | None = 60.0, store: Any = None, grace: float = 10.0
) -> Unusable:
    """``age``: of the file's last change, in seconds; ``None`` in a bucket."""
    fault = Fault(ref(key), code, "made up")
    met = ObjectInfo(fault.object, "", changed=None if age is None else NOW - age)
    triage = Triage(store or Store(met), grace, lambda: NOW)  # type: ignore[arg-type]  # only asked for the version
    return triage([fault], {} if data is None else {fault.object.id: data})


def where(found: Unusable) -> str:
    names = {name for name in ("failed", "skipped", "waiting", "changed") if getattr(found, name)}
    assert len(names) == 1
    return names.pop()


@pytest.mark.parametrize(
    ("key", "data", "code", "state"),
    [
        ("notes.txt", TEXT, "not-an-image", "skipped"), ("a.mov", b"\0\0\0\x14ftypqt  ", "not-an-image", "skipped"),
        ("empty.txt", b"", "empty", "skipped"), ("README", TEXT, "not-an-image", "skipped"),
        ("movie.MP4", None, "too-large", "skipped"),
        ("text.jpg", TEXT, "not-an-image", "failed"), ("empty.JPG", b"", "empty", "failed"),
        ("half.png", PNG[:40], "truncated", "failed"), ("half.dat", PNG[:40], "truncated", "failed"),
        ("half", PNG[:40], "truncated", "failed"), ("big.tif", None, "too-large", "failed"),
        ("big", None, "too-large", "failed"), ("closed.txt", None, "forbidden", "failed"),
        ("drawing.svg", b"<svg/>", "not-an-image", "failed"),
        ("a.heic", b"\0\0\0\x18ftypheic", "not-an-image", "failed"),
    ],
)  # fmt: skip
def test_only_what_is_meant_to_be_an_image_fails(key: str, data: bytes | None, code: str, state: str) -> None:
    """Meant by its name or by its content."""
    for age in (60.0, None):
        assert where(outcome(key, data, code, age)) == state


def test_a_video_that_is_too_large_to_look_into_names_the_setting() -> None:
    for key, named in (("clip.mov", True), ("movie.MP4", True), ("backup.tar", False)):
        fault = Fault(ref(key), "too-large", "900 bytes; the limit is 100")
        state, said = verdict(fault, None, video=False)
        assert (state, "WILDTAG_VIDEO=true" in said.reason) == ("skipped", named)
        assert fault.reason in said.reason
    assert verdict(Fault(ref("clip.mov"), "too-large", "made up"), None, video=True)[0] == "failed"


def test_names_of_videos_count_where_videos_are_tagged() -> None:
    for key in ("half.mp4", "clip.MOV", "text.webm", "card.mts"):
        fault = Fault(ref(key), "truncated", "made up")
        assert verdict(fault, TEXT, video=True)[0] == "failed"
        assert verdict(fault, TEXT, video=False)[0] == "skipped"
    assert verdict(Fault(ref("code.ts"), "not-an-image", "made up"), TEXT, video=True)[0] == "skipped"


@pytest.mark.parametrize(
    ("key", "data", "code"),
    [("a.jpg", b"", "empty"), ("a.jpg", TEXT, "not-an-image"), ("a.png", PNG[:40], "truncated"),
     ("a.png", PNG[:40], "damaged"), ("scan", b"", "empty"), ("a.dat", PNG[:40], "truncated")],
)  # fmt: skip
def test_what_may_still_be_written_is_looked_at_again(key: str, data: bytes, code: str) -> None:
    ((again, pause, reason),) = outcome(key, data, code, age=4.0).waiting
    assert (again, pause) == (ref(key), 6.0)
    assert "looked at again" in reason
    assert where(outcome(key, data, code, age=10.0)) != "waiting"
    assert where(outcome(key, data, code, age=0.0, grace=0.0)) != "waiting"
    assert where(outcome(key, data, code, age=None)) != "waiting"  # an object of a bucket is whole


def test_other_faults_and_other_files_do_not_wait() -> None:
    assert where(outcome("a.png", PNG, "too-many-pixels", age=1.0)) == "failed"
    assert where(outcome("a.png", None, "forbidden", age=1.0)) == "failed"
    assert where(outcome("notes.txt", TEXT, "not-an-image", age=1.0)) == "skipped"


def test_a_newer_version_is_reported_instead() -> None:
    met = ObjectInfo(ref("a.jpg", "newer"), "", changed=NOW)
    ((_, event),) = outcome("a.jpg", b"", "empty", store=Store(met)).changed
    assert (event.kind, event.key, event.etag, event.verified) == ("created", "a.jpg", "newer", True)
    ((_, event),) = outcome("a.jpg", b"", "empty", store=Store(None)).changed
    assert (event.kind, event.key) == ("removed", "a.jpg")
    assert where(outcome("a.jpg", b"", "empty", store=replace(Store(), forbidden=True))) == "failed"
