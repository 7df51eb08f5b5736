"""The responses that tell the progress of an object."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from fastapi import Response

from tasks.message_parts import UserMetadata
from workers.gateway import responses
from workers.lifecycle.progress import Progress
from workers.lifecycle.record_view import FULL, View, times
from workers.lifecycle.times import rfc3339, rfc3339_or_none


class Again(NamedTuple):
    """An object that is tagged again: its progress, and when the record before was written, if there was one."""

    progress: Progress
    before: float | None


def document(progress: Progress, name: str | None, view: View = FULL) -> bytes:
    """The JSON of the ``Progress`` schema. ``name``: the id of an upload."""
    user = progress.user or UserMetadata()
    return msgspec.json.encode({
        "id": name, "bucket": progress.bucket, "key": progress.key, "etag": progress.etag, "state": progress.state,
        "position": progress.position, "accepted_at": rfc3339_or_none(progress.accepted_at),
        "stages": times(progress.stages), "attempts": progress.attempts, "fault": progress.fault,
        "file_name": user.file_name, "client_id": user.client_id, "metadata": dict(user.values),
        "record": None if progress.record is None else view.record(progress.record),
        "finished_at": rfc3339_or_none(progress.finished_at),
        "previous": None if progress.previous is None else view.record(progress.previous),
    })  # fmt: skip


def etag(progress: Progress) -> str:
    """The ETag of a progress. It changes with each step, but not with the position in the queue."""
    version = f"{progress.etag} {progress.state} {progress.attempts} {progress.fault} {progress.finished_at}"
    if progress.record is not None:  # people may have said something of it
        version += f" {zlib.crc32(progress.record.json())}"
    return f'W/"{hashlib.sha256(version.encode("utf-8", "surrogateescape")).hexdigest()[:16]}"'


def matches(condition: str, tag: str) -> bool:
    """Whether an If-None-Match has this ETag, by the weak comparison of RFC 9110."""
    named = [part.strip().removeprefix("W/") for part in condition.split(",")]
    return "*" in named or tag.removeprefix("W/") in named


def answered(progress: Progress, name: str | None, *, status: int = 200, view: View = FULL) -> Response:
    """A response with the progress and its ETag."""
    headers = {"ETag": etag(progress), "Cache-Control": "private, no-cache"}
    return Response(document(progress, name, view), status, headers, "application/json")


def answered_together(progress: Sequence[Progress], names: Sequence[str], *, status: int) -> Response:
    """A response with the progress of several images, as the ``Images`` schema."""
    found = [msgspec.Raw(document(one, name)) for one, name in zip(progress, names, strict=True)]
    return responses.json({"images": found}, status, {"Cache-Control": "private, no-cache"})


def answered_again(again: Again, name: str | None, address: str) -> Response:
    """A response for an object that is processed again; ``Location`` is the URL to wait for its new record.

    The URL names the record before, if there is one, so that it is not taken for the new one in any case.
    """
    answer = answered(again.progress, name, status=202)
    answer.headers["Location"] = address if again.before is None else f"{address}?since={rfc3339(again.before)}"
    return answer
