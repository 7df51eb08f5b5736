"""Runs a service's program so that the kernel ends it with the supervisor.

Run as a script (``python -I -S launch.py PARENT COMMAND…``) before any slow import. It asks the kernel to kill this
process when its parent ends; the request survives ``exec``. This cannot be done between fork and exec in the
supervisor: with threads running, little more than ``exec`` is safe there.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Does not return unless the program cannot be run."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the request was made
        sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 -- running the given command is the purpose of this file
    except OSError as exc:
        sys.exit(f"{command[0]} cannot be run: {exc.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
