"""The files in which prometheus_client keeps values in its multiprocess mode: what is used of it, with types.

Imported only by who counts: prometheus_client takes 40 ms, and 2 MB.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import Counter, Histogram, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from workers.monitoring.metric import Metric

# the library has annotations of parts only
_values: Any = values
_file: Any = MmapedDict
_collector: Any = MultiProcessCollector

FIRST_BYTES = 65_536  # of a file
ROOM = 16_384  # bytes that a new series may take: a histogram of 17 buckets needs 5,000
_ENTRY = 32  # bytes of an entry beside its key
_USED = struct.Struct("i")  # the beginning of a file: how many of its bytes are used


def begin(owner: str) -> None:
    """New series of this process are in files of this owner, in the folder PROMETHEUS_MULTIPROC_DIR."""
    _values.ValueClass = _values.MultiProcessValue(lambda: owner)


def end() -> None:
    """Close the files. Their series cannot be used any more."""
    _values.close_all_multiprocess_files()
    _values.ValueClass = _values.MutexValue


def instrument(metric: Metric) -> Counter | Histogram:
    """The library's counter or histogram."""
    if metric.kind == "counter":
        return Counter(metric.name, metric.help, metric.labels, registry=None)
    return Histogram(metric.name, metric.help, metric.labels, registry=None, buckets=metric.buckets)


def added_up(files: Sequence[Path]) -> list[Any]:
    """The metrics in these files, whose names begin with the kind, as the library's ``Metric``."""
    return list(_collector.merge([str(file) for file in files], accumulate=True))


def read(file: Path) -> list[tuple[str, float]]:
    """The values in a file, by the library's keys. Raises ``OSError``; of damage ``RuntimeError``, ``ValueError``."""
    return [(key, value) for key, value, _, _ in _file.read_all_values_from_file(str(file))]


def write(file: Path, content: Mapping[str, float]) -> None:
    """Write a new file. Raises ``OSError``."""
    file.unlink(missing_ok=True)
    reserve(file, sum(len(key.encode()) + _ENTRY for key in content) + ROOM)
    stored = _file(str(file))
    try:
        for key, value in content.items():
            stored.write_value(key, value, 0.0)
    finally:
        stored.close()


def make_room(file: Path) -> None:
    """Before a new series: have its bytes on the disk. Creates the file. Raises ``OSError``.

    The library maps the file, and a write to a page that has no place on the disk would kill the process.
    """
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}")  # a reader sees no file without its beginning
        reserve(draft, FIRST_BYTES)
        draft.rename(file)
        return
    try:
        (used,) = _USED.unpack(os.pread(descriptor, _USED.size, 0))
        size = os.fstat(descriptor).st_size
        if used + ROOM > size:  # the library doubles what it maps
            os.posix_fallocate(descriptor, 0, 2 * size)
    finally:
        os.close(descriptor)


def reserve(file: Path, length: int) -> None:
    """Create a file of zeros, whose bytes are on the disk. Raises ``OSError``, and then leaves none."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, length)
    except OSError:
        file.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
