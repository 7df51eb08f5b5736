"""The second pipeline of an embedded stack: the dispatcher and the worker of an encoder that prepares.

They are run by the command that prepares, at low priority, beside the processes of the stack. They end with it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vectordb.errors import Permanent
from workers.embedded.stack import command
from workers.settings.process_environment import environment_of
from workers.settings.settings import STAGES, Settings
from workers.supervision.home import end_recorded
from workers.supervision.supervisor import Event, Service, Supervisor
from workers.wiring.liveness import liveness_check
from workers.wiring.wiring import Wiring

NICE = 10  # all processes of the stack go first
FOLDER = "next"  # in the home: its logs


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Keep other commands that change the encoder of this home out. Raises ``Permanent`` if one is running.

    What a killed one has left running is ended.
    """
    file = home / "run" / "encoder.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.seek(0)
            raise Permanent(
                f"another command changes the encoder of {home} (process {held.read().strip() or 'unknown'}): wait"
                " for it, or end it with Ctrl-C"
            ) from None
        held.truncate(0)
        held.write(f"{os.getpid()}\n")
        held.flush()
        end_recorded(home / FOLDER / "run" / "processes.json")
        yield


def remove_files(home: Path) -> None:
    """Remove the logs of the second pipeline. Call it within ``alone``."""
    shutil.rmtree(home / FOLDER, ignore_errors=True)


@contextmanager
def second_pipeline(settings: Settings, say: Callable[[Event], None]) -> Iterator[Supervisor]:
    """Run it. ``settings``: of ``workers.wiring.encoder_change``. Raises ``StackRunning``, ``StartFailed``."""
    os.nice(max(0, NICE - os.nice(0)))  # inherited
    wiring = Wiring(settings)
    with Supervisor(settings.home / FOLDER, on_event=say, log_limit=settings.log_bytes) as supervisor:
        wiring.layout.require()
        wiring.health.clear()
        supervisor.start(_services(wiring))
        yield supervisor


def _services(wiring: Wiring) -> list[Service]:
    settings = wiring.settings
    # one process has all models: it takes half of the memory that four would
    secrets = {key: value for stage in STAGES for key, value in environment_of(f"worker-{stage}", settings).items()}
    worker, dispatcher = (liveness_check(wiring, name) for name in (STAGES[0], "dispatcher"))
    return [
        Service("worker", command("worker", *STAGES), worker.ready, env=secrets | {"OPENBLAS_NUM_THREADS": "1"},
                ready_timeout=300, stop_timeout=10, healthy=worker.healthy),
        Service("dispatcher", command("dispatcher"), dispatcher.ready, env=environment_of("dispatcher", settings),
                healthy=dispatcher.healthy),
    ]  # fmt: skip
