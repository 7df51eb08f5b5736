"""What Flower shows, in a file, so that its tasks survive a restart.

Flower's own file is not used: which database it is depends on how Python was built, and the one that is always there
has several files, which do not match after a kill.
"""

from __future__ import annotations

import os
import pickle  # nosec B403 -- only our own file is read, see below
import stat
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger()

SAVE_EVERY_S = 60
MADE_BY = f"wildtag: Flower {version('flower')}, Celery {version('celery')}\n".encode()
"""Other versions have other classes."""


class StateFile:
    """Holds the tasks and workers that Flower knows. The file can be read and written by its user alone.

    No method raises: without the file Flower works, and a fault is logged.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._saved_count = -1

    def load(self) -> Any | None:
        """The state that was saved, or ``None`` if there is none, or none that can be used."""
        try:
            with self.file.open("rb") as file:
                about = os.fstat(file.fileno())
                # a pickle of somebody else could run anything
                if about.st_uid != os.geteuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                    log.warning(
                        "tasks of Flower not loaded", file=str(self.file), reason="others may write this file"
                    )
                    return None
                if (made_by := file.readline(200)) != MADE_BY:
                    log.info(
                        "tasks of Flower not loaded", reason=f"made by {made_by.decode(errors='replace').strip()}"
                    )
                    return None
                state, counter = pickle.load(file)  # noqa: S301 # nosec B301 -- our own file, as was checked
                state.counter.update(counter)
        except FileNotFoundError:
            return None
        except Exception as exc:  # a damaged pickle can raise anything
            log.warning("tasks of Flower not loaded", file=str(self.file), reason=repr(exc)[:200])
            return None
        log.info("tasks of Flower loaded", tasks=len(state.tasks))
        return state

    def save(self, state: Any) -> None:
        """Replace the file, if there were tasks since."""
        if state.task_count == self._saved_count:
            return
        temporary = self.file.with_suffix(".new")
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(MADE_BY)
                pickle.dump((state, dict(state.counter)), file, protocol=pickle.HIGHEST_PROTOCOL)
            temporary.replace(self.file)
        except Exception as exc:  # a full disk, or what cannot be pickled
            log.warning("tasks of Flower not saved", file=str(self.file), reason=repr(exc)[:200])
            return
        self._saved_count = state.task_count
