"""A worker of the command line, as a process, that finds itself deaf within seconds instead of minutes."""

from __future__ import annotations

import sys

from workers.diagnostics import deaf_worker, worker_liveness
from workers.processes.worker import run_worker
from workers.settings.settings import Settings

PACE = deaf_worker.Pace(every_s=0.5, deaf_s=4.0, hangs_s=4.0, gap_s=3.0)


def main(queue: str) -> None:
    """Work until it is stopped, or ends itself. The settings are in the environment."""
    deaf_worker.PACE = PACE
    worker_liveness.CHECK_EVERY_S = 0.5
    run_worker(Settings(), [queue], 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
