"""The memory that this process may still take."""

from __future__ import annotations

from pathlib import Path

_UNKNOWN = 1 << 30  # bytes, where the system says nothing


def available_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that are available: what the machine has, and what the control group allows.

    ``root``: where ``proc`` and ``sys`` are.
    """
    found = [_of_machine(root / "proc/meminfo"), _of_group(root / "sys/fs/cgroup")]
    return min((one for one in found if one is not None), default=_UNKNOWN)


def _of_machine(path: Path) -> int | None:
    try:
        for line in path.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):
        return None
    return None


def _of_group(folder: Path) -> int | None:
    try:
        return max(0, int((folder / "memory.max").read_text()) - int((folder / "memory.current").read_text()))
    except (OSError, ValueError):  # no such control group, or no limit
        return None
