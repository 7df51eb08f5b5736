"""The admin key of a home: a file that only its user can read, so whoever runs the stack can administer it.

``wildtag up`` creates it and prints a link to the page with it. The command line sends it to the home's gateway.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path

import structlog

from vectordb.leftovers import remove_leftovers

log = structlog.get_logger()

FILE = "gateway.key"
_KEY = re.compile(r"wh_[0-9a-f]{48}")


def read_home_key(home: Path) -> str | None:
    """The key of a home; ``None`` if there is none, or if others can read or replace its file."""
    try:
        with os.fdopen(
            os.open(home / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb"
        ) as file:
            status = os.fstat(file.fileno())
            key = file.read(100).decode("ascii", "replace").strip()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid not in {os.getuid(), 0}:
        log.warning("the key of the home is not used: others can read its file, or own it", file=str(home / FILE))
        return None
    return key if _KEY.fullmatch(key) else None


def create_home_key(home: Path) -> str:
    """The key of a home, made now if there is none that can be used. Raises ``OSError``."""
    known = read_home_key(home)
    if known is not None:
        return known
    key, file = f"wh_{secrets.token_hex(24)}", home / FILE
    remove_leftovers(home, f".{FILE}-*")
    temporary = home / f".{FILE}-{secrets.token_hex(4)}"
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as new:
            new.write(f"{key}\n")
        temporary.replace(file)  # also in place of a link, or of a file that others could read
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return key
