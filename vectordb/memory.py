"""The memory that there is, and that this process may still take."""

from __future__ import annotations

from pathlib import Path

_UNKNOWN = 1 << 30  # bytes, where the system says nothing


def available_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that are available: what the machine has, and what the control group allows.

    ``root``: where ``proc`` and ``sys`` are.
    """
    found = [_line(root / "proc/meminfo", "MemAvailable:"), _of_group(root / "sys/fs/cgroup")]
    return min((one for one in found if one is not None), default=_UNKNOWN)


def _line(path: Path, name: str) -> int | None:
    try:
        for line in path.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):
        return None
    return None


def _of_group(folder: Path) -> int | None:
    try:
        return max(0, int((folder / "memory.max").read_text()) - int((folder / "memory.current").read_text()))
    except (OSError, ValueError):  # no such control group, or no limit
        return None


def total_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that there are: those of the machine, or what the control group allows."""
    found = [_line(root / "proc/meminfo", "MemTotal:")]
    for name in ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found.append(int((root / name).read_text()))
        except (OSError, ValueError):  # no such control group, or no limit
            continue
    return min((one for one in found if one), default=_UNKNOWN)
