"""The folders of the private Redis of a home: data and socket."""

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
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._~-]+")  # libraries parse other characters in the URL differently


def data_folder(home: Path) -> Path:
    """The folder with the data and the configuration of the server."""
    return home.resolve() / "redis"


def socket_folder(home: Path, *, make: bool = True, others: Sequence[Path] | None = None) -> Path:
    """The run folder of the home if the path of the socket fits, else a private folder with a shorter path.

    ``others``: parents of the shorter path; default: the user's runtime folder and the temporary folder.
    ``make=False``: do not create the folder. Raises ``Permanent`` if no folder is possible.
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
    raise Permanent(
        f"no folder for the Redis socket: tried {', '.join(map(str, folders))}; set WILDTAG_HOME to a shorter path"
    )


def _is_private(folder: Path) -> bool:
    """Whether only this user can enter the folder; creates it and sets its mode if possible."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return False
        folder.chmod(0o700)
    except OSError:
        return False
    return True
