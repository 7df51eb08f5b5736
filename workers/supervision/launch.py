"""Become a service's program, after arranging to die with the supervisor.

Run as a script (``python -I -S launch.py PARENT COMMAND…``), before anything is imported that costs time. The kernel
is asked to kill this process when its parent ends; the request outlives ``exec``. It is done here and not between
fork and exec of the supervisor, where, with threads running, little more than ``exec`` is safe.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Does not return, unless the program cannot be run."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the request was made
        sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 -- becoming the given command is what this file is for
    except OSError as exc:
        sys.exit(f"{command[0]} cannot be run: {exc.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
