"""What only the user of a home may read: the home itself, its logs, the uploads, and the password of Flower."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from workers.settings.settings import Settings

FLOWER_USER = "wildtag"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def private_home(settings: Settings) -> list[str]:
    """Create the home for its user alone, and take an existing one from other users.

    Returns a message for each folder whose permissions were changed, or should be and cannot.
    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    uploads = (settings.output_folder or settings.inbox_folder) / settings.upload_prefix
    said = []
    for folder in (settings.home, settings.home / "logs", uploads):
        try:
            found = folder.stat() if folder == settings.home else folder.lstat()
        except OSError:
            continue  # it is made later, by a process whose umask is 077
        if not stat.S_ISDIR(found.st_mode) or not found.st_mode & _OTHERS:
            continue
        if found.st_uid != os.getuid() or found.st_mode & stat.S_ISVTX or folder == Path.home():
            said.append(f"Other users may read {folder}. Its permissions are left as they are: WILDTAG_HOME should be"
                        " a folder of its own, with mode 700.")  # fmt: skip
            continue
        folder.chmod(0o700)
        said.append(f"Other users could read {folder}. Its mode is now 700.")
    for log in _readable(settings.home / "logs"):
        log.chmod(0o600)
    return said


def _readable(folder: Path) -> Iterator[Path]:
    """The files of a folder that others may read."""
    for file in folder.glob("*.log*"):
        found = file.lstat()
        if stat.S_ISREG(found.st_mode) and found.st_mode & _OTHERS and found.st_uid == os.getuid():
            yield file


def flower_auth_file(home: Path) -> Path:
    """The file with USER:PASSWORD for Flower, where the settings give none."""
    return home / "flower.auth"


def flower_auth(settings: Settings) -> str:
    """USER:PASSWORD for Flower: that of the settings, else that of the home, which is made at the first call."""
    if settings.flower_auth:
        return settings.flower_auth
    file = flower_auth_file(settings.home)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        file.chmod(0o600)
        if found := file.read_text().strip():
            return found
        file.unlink()  # an earlier start was killed before it wrote
        return flower_auth(settings)
    made = f"{FLOWER_USER}:{secrets.token_urlsafe(24)}"
    with os.fdopen(descriptor, "w") as out:
        out.write(f"{made}\n")
    return made
