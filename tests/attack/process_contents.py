"""What the kernel shows of a process to its user: its environment and its memory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path


def environ(pid: int) -> dict[str, str]:
    """The environment with which a process was started."""
    text = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    return dict(entry.partition("=")[::2] for entry in text.split("\0") if entry)


def in_memory(pid: int, values: Mapping[str, str], beginnings: Sequence[bytes]) -> set[str]:
    """The names of the values that a process has somewhere in its memory; none if it cannot be read.

    ``beginnings``: how every value begins, so that most memory is searched only once.
    """
    found: set[str] = set()
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                if line.split()[1] != "rw-p":
                    continue
                start, end = (int(one, 16) for one in line.split()[0].split("-"))
                with suppress(OSError):  # unmapped in the meantime
                    content = os.pread(memory.fileno(), end - start, start)
                    if any(one in content for one in beginnings):
                        found |= {name for name, value in values.items() if value.encode() in content}
    except PermissionError:  # such as what decodes images
        return set()
    return found
