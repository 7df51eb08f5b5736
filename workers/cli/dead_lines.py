"""What ``dead show`` says of one object."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from workers.cli.local_time import local_time

if TYPE_CHECKING:
    from workers.lifecycle.record import Record
    from workers.wiring.wiring import Wiring


def lines(wiring: Wiring, record: Record, *, acknowledged: bool) -> Iterator[tuple[str, str]]:
    """What is shown of an object, by name."""
    yield "object", record.id
    yield "state", f"{record.state}, acknowledged" if acknowledged else record.state
    yield "code", code_of(record)
    yield "reason", reason_of(record)
    yield "given up" if record.state == "dead" else "failed", local_time(record.finished_at)
    if record.accepted_at is not None:
        took = record.finished_at - record.accepted_at
        yield "accepted", f"{local_time(record.accepted_at)}, {took:,.1f} s before"
    for stage, at in record.stages.items():
        yield f"entered {stage}", local_time(at)
    if record.media is not None:
        yield "file", f"{record.media.format}, {record.media.width} x {record.media.height} pixels"
    yield "version", f"etag {record.etag}" + (f", version id {record.version_id}" if record.version_id else "")
    yield "captions", record.captions_version
    moving = wiring.records.on_its_way(record.id)
    if moving is not None:
        fault = f", {moving.fault}" if moving.fault else ""
        yield "now", f"in progress again: {moving.stage}, {moving.attempts} attempts{fault}"
    yield "worker", f"not part of a record; the logs of the workers and of the dispatcher name {record.id}"
    yield "to try it", f"wildtag tag {_file_of(wiring, record)}"
    yield "to tag it again", f"wildtag dead replay {_state_option(record)}{shlex.quote(record.key)}"


def _file_of(wiring: Wiring, record: Record) -> str:
    """The file of an object of a folder, as a shell takes it; what to fetch of a bucket on a server."""
    if wiring.settings.s3_endpoint is not None:
        return f"FILE, a copy of the object {shlex.quote(record.key)} of the bucket {record.bucket}"
    return shlex.quote(str(wiring.settings.inbox_folder / record.key))


def _state_option(record: Record) -> str:
    return "" if record.state == "dead" else f"--state {record.state} "


def code_of(record: Record) -> str:
    """Of its error."""
    return record.error.code if record.error else ""


def reason_of(record: Record) -> str:
    """Of its error."""
    return record.error.reason if record.error else ""
