"""Cleans up after a supervisor that was killed.

The kernel ends the direct children of a killed supervisor, but not their children. The guardian waits for the end of
its standard input, which the kernel closes with the supervisor, and then kills the processes that the run file still
names. A supervisor that stops normally removes that file first.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from workers.supervision.ambient import ambient
from workers.supervision.home import Home, end_recorded


class Guardian:
    """The guardian process, as the supervisor sees it."""

    def __init__(self, home: Home) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(home.run / "processes.json"), home.token],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ambient(os.environ),
            start_new_session=True,
        )

    @property
    def ended(self) -> bool:
        """Whether it is no longer there."""
        return self._process.poll() is not None

    def dismiss(self) -> None:
        """Let it check the run file one last time and exit."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main(file: Path, token: str) -> None:
    """Wait, then kill what is left of the run with this token, if the file still belongs to it."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_recorded(file, token)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
