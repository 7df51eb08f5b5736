"""The folders of the private Redis of a home: data and socket."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
import stat
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vectordb.errors import Permanent
from vectordb.leftovers import LEFT_AFTER_S, is_leftover

_HASH = 6  # bytes of the hash of a home's path
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
    short = f"wildtag-{os.getuid()}-{hashlib.blake2b(os.fsencode(home), digest_size=_HASH).hexdigest()}"
    if others is None:
        runtime = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        others = (Path(runtime), Path("/tmp"))  # noqa: S108 -- the owner and mode of the folder are checked
    folders = [home / "run", *(other / short for other in others)]
    for other in others if make else ():
        _remove_abandoned(other)
    for folder in folders:
        path = os.fsencode(folder / "redis.sock")
        fits = len(path) <= LONGEST_SOCKET and PLAIN_PATH.fullmatch(os.fsdecode(path))
        if fits and (not make or _is_private(folder)):
            return folder
    raise Permanent(
        f"no folder for the Redis socket: tried {', '.join(map(str, folders))}; set WILDTAG_HOME to a shorter path"
    )


def _remove_abandoned(parent: Path) -> None:
    """Remove the short folders of this user whose server has ended, a day after it began."""
    with suppress(OSError):
        for folder in parent.glob(f"wildtag-{os.getuid()}-{'[0-9a-f]' * _HASH * 2}"):
            file = folder / "redis.sock"
            with suppress(OSError):  # of another user, or just removed
                if is_leftover(folder.lstat(), time.time() - LEFT_AFTER_S) and not _listens(file):
                    file.unlink(missing_ok=True)
                    folder.rmdir()  # which fails if there is something else


def _listens(file: Path) -> bool:
    """Whether a server listens on a socket, as far as can be told."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        return probe.connect_ex(str(file)) not in {errno.ENOENT, errno.ECONNREFUSED}


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
