"""The comparison at the end of a run: what is in the bucket, and what is known of it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ops.chaos.album import Album
from ops.chaos.captions import Switches, taught
from ops.chaos.key_leaks import leaked_keys
from ops.chaos.people import People
from ops.chaos.pictures import NAMES
from ops.chaos.receiver import Receiver
from ops.chaos.tag_verdict import judge_lessons, judge_segments, judge_tags
from ops.chaos.truth import Truth
from ops.chaos.world import World
from tasks.labels.index_form import index_form
from workers.lifecycle.record import Record
from workers.lifecycle.tag_entries import segments
from workers.segmentation.artifact_names import FOLDER, name_in
from workers.wiring.operations import coverage
from workers.wiring.wiring import Wiring

KINDS = ("lost", "wrong", "stale", "duplicated", "leaked")
SHOWN = 20
MEANWHILE_S = 120.0  # after a change of an object, until its vector is in the index at the latest
SWEPT_S = 120.0  # within which the bucket is compared, and what no record names is dealt with
VERIFIED_S = 180.0  # within which the index of images is compared with the records, and repaired
_INDEX_KINDS = {"missing": "lost", "outdated": "stale", "mislabelled": "stale", "orphaned": "leaked"}


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


@dataclass(frozen=True)
class Done:
    """What was done in a run, and to what.

    ``lossy``: Redis has lost data, so records may have been made again. ``strangers``: others upload, too.
    """

    world: World
    album: Album
    people: People
    receiver: Receiver
    switches: Switches
    truth: Truth
    lossy: bool
    strangers: bool = False


def compare(done: Done) -> Verdict:
    """Compare bucket, records, indexes, ledger and feed, when the system has come to rest."""
    wiring, found, expected = done.world.wiring(), Verdict(), done.album.there()
    bucket = wiring.settings.bucket
    listed = {info.ref.key: info.ref.etag for info in wiring.store.list(bucket)}
    there = {key: etag for key, etag in listed.items() if not key.startswith(wiring.settings.output_prefix)}
    records = {record.key: record for record in wiring.records.latest()}
    ours, whole = records, there
    if done.strangers:  # who may have uploaded, and removed, as they like
        uploads = wiring.settings.upload_prefix
        there = {key: etag for key, etag in there.items() if key in expected or not key.startswith(uploads)}
        ours = {key: one for key, one in records.items() if key in expected or not key.startswith(uploads)}
    for kind, text in done.world.problems:
        found.add(kind, text)
    found.states = dict(Counter(record.state for record in records.values()))
    _objects(found, ours, there, expected)
    _versions(found, done, ours)
    unfollowed = done.switches.unfollowed(done.world.lost_at)
    judge_tags(found.add, ours, there, expected, done.album.came_from, done.people, done.truth, unfollowed)
    judge_lessons(found.add, done.switches, lambda version: taught(version, done.world.environment))
    judge_segments(found.add, ours, expected, _segmented(done), done.people, done.truth)
    _indexes(found, done, wiring, records)
    _keys(found, wiring, whole)
    _artifacts(found, done, wiring)
    _feed(found, done, wiring, there)
    if not done.lossy:
        for key, etag in there.items():
            if (f"{bucket}/{key}", etag) not in done.receiver.versions:
                found.add("lost", f"{key}: its receiver was not told of {etag}")
    return found


def _objects(
    found: Verdict, records: Mapping[str, Record], there: Mapping[str, str], expected: Mapping[str, int]
) -> None:
    for key in expected.keys() - there.keys():
        found.add("lost", f"{key}: is not in the bucket")
    for key in there.keys() - expected.keys():
        found.add("leaked", f"{key}: is in the bucket, and nobody put it there")
    for key in sorted(there.keys() & expected.keys()):
        _judge(found, key, there[key], records.get(key), expected[key])
    for key in records.keys() - there.keys():
        found.add("leaked", f"{key}: has a record, and is not in the bucket")


def _versions(found: Verdict, done: Done, records: Mapping[str, Record]) -> None:
    """Captions that were in use after the object was changed, or requested to be tagged again."""
    for key, record in sorted(records.items()):
        allowed = done.switches.allowed(_since(done, key))
        if record.state == "done" and record.captions_version not in allowed:
            found.add("stale", f"{key}: tagged with {record.captions_version} in place of {sorted(allowed)}")
    if done.switches.used[-1].done is None:
        found.add("lost", f"the switch to {done.switches.used[-1].version} was never done")


def _since(done: Done, key: str) -> float:
    """When the object was last changed, or requested to be tagged again without a loss of that request."""
    asked = [one.at for one in done.people.retagged if one.key == key and not _lost(done, one.at)]
    return max([done.album.changed_at.get(key, float("-inf")), *asked])


def _lost(done: Done, at: float) -> bool:
    return any(begin <= at <= end for begin, end in done.world.lost_at)


def _segmented(done: Done) -> dict[str, bool]:
    """The uploads that were to be segmented, and whether they must be.

    Requests, and what came of them, are lost with all keys of Redis, which ``wildtag status`` says.
    """
    wiped = max(done.world.wiped_at, default=float("-inf"))
    return {key: at > wiped and not _lost(done, at) for key, at in done.people.segmented.items()}


def _judge(found: Verdict, key: str, etag: str, record: Record | None, picture: int) -> None:
    if record is None:
        found.add("lost", f"{key}: has no record")
    elif record.etag != etag:
        found.add("stale", f"{key}: its record is of {record.etag}, and {etag} is in the bucket")
    elif record.state != ("done" if picture >= 0 else "failed"):
        reason = f" ({record.error.code}: {record.error.reason})" if record.error else ""
        found.add("wrong", f"{key}: {record.state}{reason}")


def _indexes(found: Verdict, done: Done, wiring: Wiring, records: Mapping[str, Record]) -> None:
    for what, count in wiring.records.counts().items():
        if what in {"inbox", "segments", "in_flight"} and count:
            found.add("leaked", f"{count} in {what}, with nothing to do")
    counted = Counter(form for form in _forms(records))
    listed = {form: count for form, count in wiring.records.tag_index.all_rows().items() if count}
    for form in sorted(counted.keys() | listed.keys()):
        if counted[form] != listed.get(form, 0):
            found.add("wrong", f"tag {form}: counted {listed.get(form, 0)} times, and is on {counted[form]} images")
    _image_index(found, done, wiring, sum(record.state == "done" for record in records.values()))


def _image_index(found: Verdict, done: Done, wiring: Wiring, tagged: int) -> None:
    """The index of images has exactly the tagged ones, at the latest after its next comparison with the records."""
    deadline = time.monotonic() + VERIFIED_S
    while True:
        indexed = coverage(wiring).read().indexed  # None: its owner does not answer
        verified = done.switches.command("images", "verify", "--json")
        row = json.loads(verified.stdout) if verified.stdout.strip() else {"faults": {}, "examples": {}}
        whole = indexed == tagged and verified.stdout.strip() and not any(row["faults"].values())
        if whole or time.monotonic() > deadline:
            break
        time.sleep(1)
    if not verified.stdout.strip():
        found.add("lost", f"the image index cannot be compared: {verified.stderr[-300:]}")
    if indexed != tagged:
        found.add("lost" if (indexed or 0) < tagged else "leaked", f"image index: {indexed} of {tagged}")
    for kind, count in row["faults"].items():
        if count:
            found.add(_INDEX_KINDS.get(kind, "wrong"), f"image index: {count} {kind}: {row['examples'].get(kind)}")


def _forms(records: Mapping[str, Record]) -> Iterator[str]:
    """The forms by which each record is counted in the list of tags."""
    for record in records.values():
        named = {segment.label for segment in segments(record)}
        rejected = {index_form(label) for label in record.rejected or ()}
        yield from {index_form(label) for label in {tag.label for tag in record.tags} | named} - rejected


def _keys(found: Verdict, wiring: Wiring, there: Iterable[str]) -> None:
    """Every key of Redis belongs to something."""
    for leak in leaked_keys(wiring, set(there)):
        found.add("leaked", leak)


def _artifacts(found: Verdict, done: Done, wiring: Wiring) -> None:
    """Artifacts of segmentations are named by records, at the latest after the next comparison of the bucket.

    Those whose object is not in the bucket stay for a day after a loss of Redis.
    """
    deadline = time.monotonic() + SWEPT_S
    while True:
        named, stored = artifacts(wiring)
        strays = stored - named.keys()
        if not (strays or named.keys() - stored) or time.monotonic() > deadline:
            break
        time.sleep(1)
    gone = wiring.settings.output_prefix if done.lossy else None
    there = {info.ref.key for info in wiring.store.list(wiring.settings.bucket)}
    for key in sorted(strays):
        if gone is None or name_in(gone, key) in there:
            found.add("leaked", f"{key}: belongs to no record")
    for key in named.keys() - stored:
        found.add("lost", f"{key}: is named by the record of {named[key]}, and is not there")


def artifacts(wiring: Wiring) -> tuple[dict[str, str], set[str]]:
    """Artifacts that records name, with the key of the object, and those that are stored."""
    named: dict[str, str] = {}
    for one in wiring.records.latest():
        if one.segmentation and one.segmentation.artifacts:
            both = one.segmentation.artifacts
            named |= {both.label_map: one.key, both.overlay: one.key}
    listed = wiring.store.list(wiring.settings.bucket, f"{wiring.settings.output_prefix}{FOLDER}")
    return named, {info.ref.key for info in listed}


def _taught_since(done: Done, key: str) -> int:
    """How often what is taught may have had an image tagged again.

    Once if something was said while it may not have been in the index. Twice for each caption that was taught: as an
    object in progress, and as an image that the caption concerns.
    """
    began = done.album.changed_at.get(key, float("-inf"))
    said = any(began <= one.at <= began + MEANWHILE_S for one in done.people.said)
    return said + 2 * sum(began <= at + MEANWHILE_S for at in done.switches.taught_at)


def _feed(found: Verdict, done: Done, wiring: Wiring, there: Mapping[str, str]) -> None:
    """Each version is reported once, and once more when somebody asked for it."""
    seen: Counter[tuple[str, str]] = Counter()
    last: dict[str, int] = {}
    after = "0"
    while page := wiring.records.feed_page(after, 500):
        after = page[-1].id
        for item in page:
            if item.record is not None:
                seen[item.oid, item.record.etag] += 1
                last[item.record.key] = int(item.id.partition("-")[0])
    for one in done.people.retagged:
        if one.key in there and last.get(one.key, 0) < one.at_ms and not _lost(done, one.at):
            found.add("lost", f"{one.key}: was to be tagged again, and was not")
    if done.lossy:
        return
    asked = Counter(one.key for one in done.people.retagged)
    named = {key for one in done.people.said for key in (one.key, *one.near)}
    photographs = {done.album.expected[key] % len(NAMES) for key in named & done.album.expected.keys()}
    photographs |= {one.photograph for one in done.people.said}  # also of what was moved or removed since
    for (oid, etag), times in seen.items():
        key = oid.partition("/")[2]
        picture = done.album.expected.get(key, -1)
        if key in named or picture < 0 or picture % len(NAMES) in photographs:
            continue  # what people say has it tagged again
        if times > 1 + asked[key] + _taught_since(done, key):
            found.add("duplicated", f"{oid}: {etag} was reported {times} times")
