"""The comparison at the end of a run: what is in the bucket, and what is known of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ops.chaos.album import Album
from ops.chaos.pictures import content
from ops.chaos.receiver import Receiver
from ops.chaos.world import World
from workers.lifecycle.record import Record
from workers.wiring.operations import coverage
from workers.wiring.wiring import Wiring

KINDS = ("lost", "wrong", "stale", "duplicated", "leaked")
SHOWN = 20
_CLOSE = 1e-3  # scores of two batches differ in the last digits


@dataclass
class Verdict:
    """The findings by kind, each a text, and the number of records by state."""

    findings: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    states: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether nothing was found."""
        return not any(self.findings.values())

    def add(self, kind: str, text: str) -> None:
        """Add a finding."""
        self.findings[kind].append(text)


def compare(world: World, album: Album, receiver: Receiver, *, lossy: bool) -> Verdict:
    """Compare bucket, records, indexes, ledger and feed, when the system has come to rest.

    ``lossy``: Redis has lost data, so records may have been made again.
    """
    wiring, found = world.wiring(), Verdict()
    bucket = wiring.settings.bucket
    there = {info.ref.key: info.ref.etag for info in wiring.store.list(bucket)}
    records = {record.key: record for record in wiring.records.latest()}
    found.states = dict(Counter(record.state for record in records.values()))
    for key in album.expected.keys() - there.keys():
        found.add("lost", f"{key}: is not in the bucket")
    for key in there.keys() - album.expected.keys():
        found.add("leaked", f"{key}: is in the bucket, and nobody put it there")
    for key in sorted(there.keys() & album.expected.keys()):
        _judge(found, key, there[key], records.get(key), album.expected[key])
    for key in records.keys() - there.keys():
        found.add("leaked", f"{key}: has a record, and is not in the bucket")
    _same_tags(found, records, album.expected, world)
    _indexes(found, wiring, records)
    _keys(found, wiring, records, there)
    if not lossy:
        _feed(found, wiring)
        for key, etag in there.items():
            if (f"{bucket}/{key}", etag) not in receiver.versions:
                found.add("lost", f"{key}: its receiver was not told of {etag}")
    return found


def _judge(found: Verdict, key: str, etag: str, record: Record | None, picture: int) -> None:
    if record is None:
        found.add("lost", f"{key}: has no record")
    elif record.etag != etag:
        found.add("stale", f"{key}: its record is of {record.etag}, and {etag} is in the bucket")
    elif record.state != ("done" if picture >= 0 else "failed"):
        reason = f" ({record.error.code}: {record.error.reason})" if record.error else ""
        found.add("wrong", f"{key}: {record.state}{reason}")


def _same_tags(found: Verdict, records: Mapping[str, Record], expected: Mapping[str, int], world: World) -> None:
    """The tags of an image are those that one process computes without queues."""
    used = {picture for key, picture in expected.items() if picture >= 0 and key in records}
    truth = _truth(sorted(used), world)
    for key, record in sorted(records.items()):
        picture = expected.get(key, -1)
        if record.state == "done" and picture in truth:
            tags = {tag.label: tag.score for tag in record.tags}
            right = truth[picture]
            if tags.keys() != right.keys() or any(abs(tags[label] - right[label]) > _CLOSE for label in tags):
                found.add("wrong", f"{key}: {sorted(tags)} in place of {sorted(right)}")


def _truth(pictures: list[int], world: World) -> dict[int, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        files = {picture: Path(folder, f"{picture}.jpg") for picture in pictures}
        for picture, file in files.items():
            file.write_bytes(content(picture))
        command = [sys.executable, "-P", "-m", "workers.cli", "tag", "--json", *map(str, files.values())]
        done = subprocess.run(command, env=world.environment, capture_output=True, check=True)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {int(Path(row["key"]).stem): {tag["label"]: tag["score"] for tag in row["tags"]} for row in rows}


def _indexes(found: Verdict, wiring: Wiring, records: Mapping[str, Record]) -> None:
    for what, count in wiring.records.counts().items():
        if what in {"inbox", "segments", "in_flight"} and count:
            found.add("leaked", f"{count} in {what}, with nothing to do")
    counted = Counter(form for form in _forms(wiring, records))
    listed = {form: count for form, count in wiring.records.tag_index.all_rows().items() if count}
    for form in sorted(counted.keys() | listed.keys()):
        if counted[form] != listed.get(form, 0):
            found.add("wrong", f"tag {form}: counted {listed.get(form, 0)} times, and is on {counted[form]} images")
    covered = coverage(wiring).read()
    done = sum(record.state == "done" for record in records.values())
    if covered.indexed != done:
        found.add("lost" if (covered.indexed or 0) < done else "leaked", f"image index: {covered.indexed} of {done}")


def _forms(wiring: Wiring, records: Mapping[str, Record]) -> Iterator[str]:
    """The forms by which each record is counted in the list of tags."""
    from tasks.labels.index_form import index_form  # noqa: PLC0415

    _ = wiring
    for record in records.values():
        yield from {index_form(tag.label) for tag in record.tags}


def _keys(found: Verdict, wiring: Wiring, records: Mapping[str, Record], there: Mapping[str, str]) -> None:
    """Keys of single objects belong to objects that there are."""
    bucket, keys = wiring.settings.bucket, wiring.keys
    for family, known in ((keys.record, records), (keys.entry, {}), (keys.segmentation_request, there)):
        begin = family(f"{bucket}/")
        for name in wiring.redis.scan_iter(match=glob(begin) + "*", count=1000):
            key = name.decode(errors="surrogateescape").removeprefix(begin)
            if key not in known:
                found.add("leaked", f"the key {name!r} of Redis belongs to nothing")


def glob(text: str) -> str:
    """A text that a pattern of Redis matches as it is."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", text)


def _feed(found: Verdict, wiring: Wiring) -> None:
    """Each version is reported once."""
    seen: Counter[tuple[str, str]] = Counter()
    after = "0"
    while page := wiring.records.feed_page(after, 500):
        after = page[-1].id
        for item in page:
            if item.record is not None:
                seen[item.oid, item.record.etag] += 1
    for (oid, etag), times in seen.items():
        if times > 1:
            found.add("duplicated", f"{oid}: {etag} was reported {times} times")
