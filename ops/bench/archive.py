"""``python -m ops.bench archive``: what follows from kept vectors, in a real stack.

- Retag from vectors: images a second, and the rate of the same stack with the encoder, in one run.
- Teach a caption: time until the images of an archive that it concerns, and no others, are tagged again.

The archive consists of entries in the index, records in Redis, and files that are links to one small image. Their
vectors are those of photographs with noise. The floors are made: every hundredth image has room for any caption.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from ops.bench.machine import machine, versions
from ops.bench.processes import end
from ops.bench.stacks import new_home
from tasks.message_parts import ObjectRef, Tag
from vectordb.errors import Permanent
from vectordb.images import ImageEntry
from workers.embedded.ports import free_port
from workers.embedded.stack import command, running
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.ledger import Arrival
from workers.lifecycle.record import Record
from workers.settings.settings import Settings
from workers.stores.folder import FolderStore
from workers.wiring.gateway import caption_service
from workers.wiring.operations import remote_images
from workers.wiring.wiring import Wiring

PREFIX = "archive/"
PAGE = 1000
NOISE = 0.35  # length of the noise that is added to a unit vector
LINKS = 30_000  # of one file; ext4 allows 65,000
PATIENCE_S = 900.0
LESSON = "a photo of a wildtag benchmark"


class Report(msgspec.Struct, frozen=True):
    """All figures. ``concerned``: images that the caption concerns; ``right``: of them, tagged again in time."""

    machine: dict[str, Any]
    versions: dict[str, Any]
    photographs: int
    encoded_per_s: float
    retagged_per_s: float
    archive: int
    concerned: int
    right: int
    others: int
    taught_s: float


def main(arguments: Sequence[str]) -> None:
    """Measure, and print JSON or lines."""
    chosen = _parser().parse_args(arguments)
    begun = machine()
    found = measured(chosen.photographs, chosen.images, chosen.folder, chosen.home)
    report = Report(machine=begun, versions=versions(), **found)
    if chosen.json:
        print(msgspec.json.encode(report).decode())
        return
    for name, value in msgspec.to_builtins(report).items():
        print(f"{name:16} {value}")


def measured(photographs: int, archive: int, folder: Path | None = None, home: Path | None = None) -> dict[str, Any]:
    """All figures but the conditions, from a stack of its own. See the options."""
    with new_home(home) as place, _stack(place) as wiring:
        return _measure(wiring, photographs, archive, folder)


def _measure(wiring: Wiring, photographs: int, archive: int, folder: Path | None) -> dict[str, Any]:
    inbox = wiring.settings.inbox_folder
    bucket = wiring.settings.bucket
    sources = sorted(folder.iterdir()) if folder else _samples(wiring.settings.home)
    begun = time.monotonic()
    for number in range(photographs):
        source = sources[number % len(sources)]
        shutil.copyfile(source, inbox / f"{number:05}{source.suffix}")
    _until(lambda: wiring.records.count_in(bucket) >= photographs and _quiet(wiring))
    encoded = photographs / (time.monotonic() - begun)
    keys = list(wiring.records.keys(bucket))
    rates = []
    for _ in range(3):
        begun = time.monotonic()
        wiring.low_priority_inbox.append([ObjectEvent("created", bucket, key, force=True) for key in keys])
        _until(lambda: _quiet(wiring), every_s=0.02)
        rates.append(len(keys) / (time.monotonic() - begun))
    taught = _teach(wiring, archive, inbox)
    return {"photographs": photographs, "encoded_per_s": round(encoded, 1),
            "retagged_per_s": round(float(np.median(rates)), 1), "archive": archive, **taught}  # fmt: skip


def _teach(wiring: Wiring, archive: int, inbox: Path) -> dict[str, Any]:
    """Fill the archive, teach a caption and wait for the images that it concerns."""
    images = remote_images(wiring)
    real, rows = next(images.pages())
    rng = np.random.default_rng(7)
    small = inbox.parent / "small.jpg"
    Image.new("RGB", (64, 48), (90, 120, 40)).save(small, "JPEG")
    etag = _etag(small)
    wanted = max(1, archive // 100)
    concerned: set[str] = set()
    for start in range(0, archive, PAGE):
        count = min(PAGE, archive - start)
        places = rng.integers(0, len(rows), count)
        noise = rng.normal(size=(count, rows.shape[1]))
        vectors = rows[places] + NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        entries = []
        for at, place in enumerate(places.tolist()):
            number = start + at
            # every hundredth image has room for any caption, the others for none
            floor: float = -2.0 if number % (archive // wanted) == 0 else 2.0
            key = f"{PREFIX}{number:06}.jpg"
            entry = replace(real[place], key=key, etag=etag, floor=floor, bound=-2.0, hash=None, tags=())
            entries.append(entry)
            if floor < 0:
                concerned.add(entry.object_id)
        images.put(entries, vectors)
        _record(wiring, entries)
    _link(small, inbox / PREFIX, archive)
    _until(lambda: _quiet(wiring))
    begun, since = time.monotonic(), time.time()
    lesson = caption_service(wiring, PATIENCE_S).teach([LESSON], "benchmark")
    _until(lambda: _again(wiring, concerned, since) == len(concerned), every_s=0.2)
    took = time.monotonic() - begun
    _until(lambda: _quiet(wiring))
    keys = {entry.object_id for entry in real}
    everything = {f"{wiring.settings.bucket}/{key}" for key in wiring.records.keys(wiring.settings.bucket)}
    others = _again(wiring, everything - concerned - keys, since)
    return {"concerned": lesson.images, "right": _again(wiring, concerned, since), "others": others,
            "taught_s": round(took, 2)}  # fmt: skip


def _record(wiring: Wiring, entries: Sequence[ImageEntry]) -> None:
    revision, now = wiring.current(), time.time() - 60
    refs = [ObjectRef(one.bucket, one.key, one.etag) for one in entries]
    wiring.ledger.enter([Arrival(ref, verified=True) for ref in refs], revision, now, now + 3600)
    wiring.ledger.finish(
        [
            Record(bucket=ref.bucket, key=ref.key, etag=ref.etag, state="done", space_id=revision.space_id,
                   captions_version=revision.captions_version, tags=(Tag("made", 0.5, 0.5, 0.5),), finished_at=now)
            for ref in refs
        ],
        now,
    )  # fmt: skip


def _again(wiring: Wiring, oids: set[str], since: float) -> int:
    """How many of these have a record that was written since then."""
    found = 0
    ordered = sorted(oids)
    for start in range(0, len(ordered), PAGE):
        records = wiring.records.get(ordered[start : start + PAGE])
        found += sum(record is not None and record.finished_at > since for record in records)
    return found


def _link(source: Path, folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        if number % LINKS == 0:
            base = source.with_name(f"small-{number}.jpg")
            shutil.copy2(source, base)
        os.link(base, folder / f"{number:06}.jpg")


def _etag(file: Path) -> str:
    info = FolderStore({"here": file.parent}).stat("here", file.name)
    if info is None:
        raise Permanent(f"{file} is not there")
    return info.ref.etag


def _samples(home: Path) -> list[Path]:
    from skimage import data  # noqa: PLC0415 -- heavy, and only here

    found = []
    for name in ("chelsea", "coffee", "rocket", "astronaut"):
        found.append(home / f"{name}.jpg")
        Image.fromarray(getattr(data, name)()).save(found[-1], "JPEG", quality=90)
    return found


def _quiet(wiring: Wiring) -> bool:
    return not (wiring.inbox.length() or wiring.low_priority_inbox.length() or wiring.ledger.in_flight())


def _until(condition: Callable[[], bool], every_s: float = 0.1) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise Permanent(f"not finished after {PATIENCE_S:.0f} s")
        time.sleep(every_s)


@contextmanager
def _stack(home: Path) -> Iterator[Wiring]:
    settings = Settings(home=home, gateway_port=free_port(8080), rescan_s=86_400)
    with (home / "up.log").open("ab") as log:
        process = subprocess.Popen(command("up"), env=settings.process_environment(), stdout=log, stderr=log)
        try:
            _until(lambda: running(settings) is not None or process.poll() is not None)
            up = running(settings)
            if up is None:
                raise Permanent(f"the stack did not start: {(home / 'up.log').read_text()[-2000:]}")
            yield Wiring(up)
        finally:
            process.send_signal(signal.SIGINT)
            end(process, 60)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ops.bench archive", description=__doc__)
    parser.add_argument("--photographs", type=int, default=600, help="images that are tagged and tagged again")
    parser.add_argument("--images", type=int, default=100_000, help="images in the archive")
    parser.add_argument("--folder", type=Path, help="photographs to tag; default: four of scikit-image")
    parser.add_argument("--home", type=Path, help="a home whose captions and cache are copied")
    parser.add_argument("--json", action="store_true")
    return parser
