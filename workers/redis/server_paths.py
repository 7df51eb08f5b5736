"""Where the private Redis of a home keeps its files and its socket."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vectordb.errors import Permanent

LONGEST_SOCKET = 100  # bytes; the kernel takes 107
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._~-]+")  # others are read differently by the libraries that parse the URL


def data_folder(home: Path) -> Path:
    """Where the server of a home keeps its data and its configuration."""
    return home.resolve() / "redis"


def socket_folder(home: Path, *, make: bool = True, others: Sequence[Path] | None = None) -> Path:
    """The home's own run folder if a socket fits there, else a private one with a short name.

    It is made in one of ``others``: the user's runtime folder or the temporary one, when not given.
    ``make=False``: only say which it would be. Raises ``Permanent`` when there is none.
    """
    short = f"wildtag-{os.getuid()}-{hashlib.blake2b(os.fsencode(home), digest_size=6).hexdigest()}"
    if others is None:
        runtime = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        others = (Path(runtime), Path("/tmp"))  # noqa: S108 -- the owner and mode of the folder are checked
    folders = [home / "run", *(other / short for other in others)]
    for folder in folders:
        socket = os.fsencode(folder / "redis.sock")
        fits = len(socket) <= LONGEST_SOCKET and PLAIN_PATH.fullmatch(os.fsdecode(socket))
        if fits and (not make or _is_private(folder)):
            return folder
    raise Permanent(f"no folder for the Redis socket: tried {', '.join(map(str, folders))}; choose a shorter home")


def _is_private(folder: Path) -> bool:
    """Whether it is a folder that only we can enter; made so where it may be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return False
        folder.chmod(0o700)
    except OSError:
        return False
    return True
