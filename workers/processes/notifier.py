"""The notifier process: a thread for each receiver, so that none waits for another one."""

from __future__ import annotations

import os
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import structlog

from vectordb.errors import Permanent, Transient
from workers.notifying.notifier import Notifier
from workers.processes.logs import configure
from workers.processes.loops import Periodic, Step, Stop, run_steps, running
from workers.settings.settings import Settings
from workers.settings.webhook_receivers import Receiver, chosen, receivers_of
from workers.telemetry.logs import hide
from workers.telemetry.redaction import secrets_in
from workers.wiring.notifying import notifier as notifier_of
from workers.wiring.notifying import poster as poster_of
from workers.wiring.wiring import Wiring

log = structlog.get_logger()

RECOVER_EVERY = 10.0
RECOVER_IDLE_MS = 10_000
REPORT_EVERY_S = 2.0
WARN_EVERY_S = 3600.0
DRAIN_S = 3.0  # time for responses in flight when it is stopped
TICK_MS = 10  # in which Linux counts the start of a process
AGAIN_S = 5.0  # after a fault that is no outage, until this receiver is tried again


def run_notifier(settings: Settings) -> None:
    """Deliver what happens to all receivers. A change of their file is followed.

    A new receiver begins with what happens since this process was started or the file was changed, or with the
    beginning of the feed if its settings say so. Raises ``Permanent`` if no receiver is configured, or a setting is
    wrong; after a wrong change of the file, it goes on with the receivers of before.
    """
    configure(settings, "notifier")
    receivers = chosen(receivers_of(settings), None)
    wiring = Wiring(settings)
    with ExitStack() as unused:
        for one in receivers:  # a wrong setting is reported even while Redis is away
            unused.enter_context(poster_of(wiring, one))
    with running(wiring, "notifier", encodes=False) as stop:
        age_ms = _age_ms
        while not stop.is_set():
            try:
                _serve_all(wiring, receivers, stop, age_ms)
            except _Changed as changed:
                receivers, age_ms = changed.receivers, _since(time.monotonic())


class _Changed(Exception):
    """The file has other receivers now."""

    def __init__(self, receivers: list[Receiver]) -> None:
        super().__init__()
        self.receivers = receivers


class _FileWatch:
    """Raises ``_Changed`` when the receivers are other ones, and logs once why a change is not followed."""

    def __init__(self, wiring: Wiring, receivers: Sequence[Receiver]) -> None:
        self._wiring = wiring
        self._receivers = receivers
        self._fault = ""

    def __call__(self) -> None:
        try:
            found = chosen(receivers_of(self._wiring.settings), None)
            if found == self._receivers:
                self._fault = ""
                return
            for one in found:
                poster_of(self._wiring, one)
        except Permanent as exc:
            if str(exc) != self._fault:
                log.warning("change of receivers not followed", reason=str(exc))
                self._fault = str(exc)
            return
        log.info("receivers changed", receivers=[one.name for one in found])
        raise _Changed(found)


def _serve_all(wiring: Wiring, receivers: Sequence[Receiver], stop: Stop, age_ms: Callable[[], int]) -> None:
    """Serve receivers until ``stop``. Raises ``_Changed``."""
    for one in receivers:  # which may come from a file
        hide(*secrets_in(one.url), *(b64encode(key).decode() for key in one.keys))
    served = [(one.name, one.place, one.kinds) for one in receivers]
    halt = threading.Event()
    with ExitStack() as open_:
        posters = [open_.enter_context(poster_of(wiring, one)) for one in receivers]
        threads = [
            threading.Thread(
                target=_serve, name=f"notifier {one.name}", daemon=True,
                args=(wiring, one, notifier_of(wiring, one, poster.post, wiring.process_name), halt, age_ms),
            )
            for one, poster in zip(receivers, posters, strict=True)
        ]  # fmt: skip
        for thread in threads:
            thread.start()
        try:
            run_steps(
                stop, wiring.outage_tracker, lambda: stop.wait(0.5),
                Periodic(REPORT_EVERY_S, lambda: wiring.receivers.report(served)),
                Periodic(WARN_EVERY_S, lambda: _warn_of_others(wiring, receivers)),
                Periodic(1.0, lambda: wiring.health.beat("notifier")),
                Periodic(REPORT_EVERY_S, _FileWatch(wiring, receivers)),
            )  # fmt: skip
        finally:
            halt.set()
            for thread in threads:
                thread.join(DRAIN_S + 2)
            with suppress(Transient):
                wiring.receivers.report(served, stopped=True)


def _serve(
    wiring: Wiring, receiver: Receiver, notifier: Notifier, stop: threading.Event, age_ms: Callable[[], int]
) -> None:
    """Serve one receiver until ``stop``. A fault of its own, such as a bug, holds up no other receiver."""
    ready = False

    def prepare() -> None:
        nonlocal ready
        if not ready:
            notifier.prepare(from_beginning=receiver.from_beginning, age_ms=age_ms())
            ready = True

    recover = Periodic(RECOVER_EVERY, lambda: notifier.recover(RECOVER_IDLE_MS))

    def work() -> None:
        prepare()
        recover()
        notifier.step()

    step = Step(work, wiring.outage_tracker)
    while not stop.is_set():
        try:
            if not step():
                step.rest(stop)
        except Exception:
            log.exception("receiver not served", receiver=receiver.name, again_in_s=AGAIN_S)
            stop.wait(AGAIN_S)
    with suppress(Transient):  # then they are sent again
        notifier.abandon(DRAIN_S)


def _since(began: float) -> Callable[[], int]:
    """Counts the milliseconds since a time of ``time.monotonic``."""
    return lambda: int(1000 * (time.monotonic() - began))


def _age_ms() -> int:
    """How long this process has run: what finished meanwhile is new to a new receiver. 0 if it is not known."""
    try:
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0
    return max(0, int(1000 * (time.clock_gettime(time.CLOCK_BOOTTIME) - started)) - TICK_MS)


def _warn_of_others(wiring: Wiring, receivers: Sequence[Receiver]) -> None:
    """Name receivers that are not served and of which something is left."""
    served = {one.name for one in receivers}
    for one in wiring.receivers.standing():
        if one.name not in served and not one.served:
            log.warning(
                "a receiver is not configured any more", receiver=one.name, waiting=one.waiting,
                dead_letters=one.dead_letters,
                then=f"drop what is left: wildtag webhooks forget {one.name}; or go on under another name: wildtag"
                f" webhooks rename {one.name} NEW",
            )  # fmt: skip
