"""The folder in which processes count, see ``workers.monitoring.meter``: reads what all have counted.

The numbers of processes that have ended stay: their files are merged into one, and then removed. So no counter goes
back, and the folder does not grow, however often processes are replaced.

- ``counter_PID-START.db``, ``histogram_PID-START.db``: of a process, in the format of prometheus_client
- ``counter_merged-N.db``, ``histogram_merged-N.db``: the sums of those that have ended
- ``merged.json``: the N that counts, and the files whose numbers are in it. It is replaced at once, so that a file
  that remains after a crash is not counted twice.
- ``lock``: held (flock) by whoever reads or merges
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from vectordb.errors import Transient
from workers.supervision.home import write_json
from workers.supervision.os_processes import Identity, alive

log = structlog.get_logger()

KINDS = ("counter", "histogram")
STATE = "merged.json"
PATIENCE_S = 5.0  # for the lock, which is held for milliseconds
_LOOK_S = 0.02


class FolderBusy(Transient):
    """Another process holds the lock for too long."""


@dataclass(frozen=True)
class _Merged:
    """``generation``: N of the merged files, 0 without any. ``names``: the files whose numbers they have."""

    generation: int = 0
    names: frozenset[str] = frozenset()


class MetricsFolder:
    """``path`` need not exist: then nothing was counted."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def collect(self) -> Iterable[Any]:
        """The metrics of all processes that count or have counted here, as prometheus_client's ``Metric``.

        Raises ``FolderBusy``.
        """
        from workers.monitoring import value_files  # noqa: PLC0415 -- not for every command

        if not self.path.is_dir():
            return ()
        with self._locked():
            return value_files.added_up(self._current())

    def tidy(self) -> None:
        """Merge the files of processes that have ended, unless another process does it, or the disk is full."""
        if self.path.is_dir():
            try:
                with self._locked(patience_s=0.0):
                    self._current()
            except FolderBusy:
                return
            except OSError as exc:
                log.warning("metrics of ended processes not merged", reason=str(exc))

    def clear(self) -> None:
        """Remove everything: all counters begin at 0. For when no process counts here."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _current(self) -> list[Path]:
        """The files to be added up, after those of processes that have ended were merged."""
        merged = self._read()
        files = self._readable(merged)
        ended = [file for file in files if not _lives(file)]
        if ended:
            try:
                merged = self._merge(merged, ended)
            except OSError as exc:  # a full disk: they are added up as they are
                log.warning("metrics of ended processes not merged", reason=str(exc))
                return [*self._merged_files(merged), *files]
        lasting = [file for file in files if file not in ended]
        return [*self._merged_files(merged), *lasting]

    def _readable(self, merged: _Merged) -> list[Path]:
        """The files of processes. Removes what a crash has left of others."""
        found = []
        for file in sorted(self.path.glob("*.db")):
            kind, _, owner = file.stem.partition("_")
            if kind not in KINDS or file.name in merged.names:
                file.unlink(missing_ok=True)
            elif not owner.startswith("merged-"):
                found.append(file)
            elif owner != f"merged-{merged.generation}":
                file.unlink(missing_ok=True)
        return found

    def _merge(self, merged: _Merged, ended: Sequence[Path]) -> _Merged:
        """Raises ``OSError``, and then has changed nothing."""
        from workers.monitoring import value_files  # noqa: PLC0415 -- as above

        after = _Merged(merged.generation + 1, frozenset(file.name for file in ended))
        for kind in KINDS:
            sums: defaultdict[str, float] = defaultdict(float)
            for file in (*self._merged_files(merged), *ended):
                if file.name.startswith(f"{kind}_"):
                    try:
                        for key, value in value_files.read(file):
                            sums[key] += value
                    except (RuntimeError, ValueError) as exc:
                        log.warning("metrics of an ended process are lost", file=file.name, reason=str(exc))
            value_files.write(self._merged_file(kind, after.generation), sums)
        write_json(self.path / STATE, {"generation": after.generation, "names": sorted(after.names)})
        for file in (*self._merged_files(merged), *ended, *self._drafts()):
            file.unlink(missing_ok=True)
        return after

    def _drafts(self) -> list[Path]:
        return [file for file in self.path.glob(".*.db") if not _lives(file)]

    def _merged_files(self, merged: _Merged) -> list[Path]:
        if not merged.generation:
            return []
        return [file for kind in KINDS if (file := self._merged_file(kind, merged.generation)).exists()]

    def _merged_file(self, kind: str, generation: int) -> Path:
        return self.path / f"{kind}_merged-{generation}.db"

    def _read(self) -> _Merged:
        try:
            stored = json.loads((self.path / STATE).read_text())
            return _Merged(int(stored["generation"]), frozenset(stored["names"]))
        except FileNotFoundError:
            return _Merged()
        except (OSError, ValueError, KeyError, TypeError) as exc:
            log.warning("metrics of ended processes are lost", reason=str(exc))
            return _Merged()

    @contextmanager
    def _locked(self, patience_s: float = PATIENCE_S) -> Iterator[None]:
        until = time.monotonic() + patience_s
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= until:
                        raise FolderBusy(f"{self.path / 'lock'} is held by another process") from None
                    time.sleep(_LOOK_S)
            try:
                yield
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for a process that was forked meanwhile
        finally:
            os.close(descriptor)


def _lives(file: Path) -> bool:
    """Whether the process of this file still runs."""
    pid, _, started = file.stem.rpartition("_")[2].partition("-")
    return pid.isdigit() and started.isdigit() and alive(Identity(int(pid), int(started)))
