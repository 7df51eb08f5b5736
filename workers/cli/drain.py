"""``drain`` and ``undrain``: let a stack finish what it has begun, before it is stopped."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from vectordb.errors import Transient
from workers.cli.connection import connected
from workers.cli.console import clean, console, messages
from workers.cli.local_time import local_time
from workers.cli.panels import RUN
from workers.lifecycle.times import rfc3339

if TYPE_CHECKING:
    from workers.lifecycle.record_reader import Pending
    from workers.redis.drain import Draining
    from workers.wiring.wiring import Wiring

LOOK_EVERY_S = 0.2
AWAY_S = 1.0  # between two looks while Redis does not answer
SAY_EVERY_S = 5.0
TIMEOUT_S = 600.0
GONE_S = 30.0  # without a note, after which a dispatcher was killed: it notes itself every ten seconds
NAMED = 5  # objects that are named when the time is over
LISTED = 10_000


def drain(
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for what is in progress.")] = TIMEOUT_S,
    give_up: Annotated[bool, typer.Option("--give-up", help="End the drain again if the time is over.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="End a drain, as `wildtag undrain`.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The outcome as one JSON object.")] = False,
) -> None:
    """Stop handing out images, and wait until those in progress are finished. New ones are stored and wait.

    Uploads and events are accepted as ever. The drain stays in force, also after restarts, until `wildtag undrain` or
    `wildtag up`. Exit status 1: the time was over before all was finished.
    """
    wiring = connected()
    if resume:
        _end(wiring, json=json)
        return
    if not drained(wiring, timeout, json=json, give_up=give_up):
        raise typer.Exit(1)


def undrain(json: Annotated[bool, typer.Option("--json", help="The outcome as one JSON object.")] = False) -> None:
    """End a drain: what has waited is tagged."""
    _end(connected(), json=json)


def drained(wiring: Wiring, timeout: float, *, json: bool = False, give_up: bool = False, stays: bool = True) -> bool:
    """Drain a stack, with progress. Returns whether all was finished in time; otherwise says what was not.

    ``stays``: whether the drain stays in force then; otherwise the caller ends it, and says what it has done.
    """
    draining = wiring.drain.begin()
    began = time.monotonic()
    first, said = None, began
    for now, silent, left in _looks(wiring, began + timeout):
        if now is None:  # another command has ended it
            messages.print("[red]The drain was ended meanwhile[/], by `wildtag undrain` or a start of the stack.")
            return False
        if not silent and not left:
            break
        first = left if first is None else first
        passed = time.monotonic() - began
        if passed >= timeout:
            _over(wiring, timeout, left, len(silent), json=json, give_up=give_up, stays=stays)
            return False
        if not json and time.monotonic() - said >= SAY_EVERY_S:
            said = time.monotonic()
            for line in (left and _progress(wiring.records.pending(LISTED), left, first, passed), _silence(silent)):
                if line:
                    messages.print(f"[dim]{line}[/]")
    waiting = wiring.records.counts()
    if json:
        body = {"drained": True, "since": rfc3339(draining.since), "in_flight": 0, "unfinished": [],
                "waiting": waiting["inbox"], "in_force": True}  # fmt: skip
        console.out(msgspec.json.encode(body).decode(), highlight=False)
    elif stays:
        console.print(
            f"Drained: nothing is in progress, {waiting['inbox']:,} events wait. New images are stored, and tagged"
            " after `wildtag undrain` or the next `wildtag up`.", soft_wrap=True,
        )  # fmt: skip
    return True


def _looks(wiring: Wiring, until: float) -> Iterator[tuple[Draining | None, set[str], int]]:
    """What ``_look`` finds, now and then. Waits while Redis is away, and raises its fault after ``until``."""
    away = False
    while True:
        try:
            found = _look(wiring)
        except Transient as exc:
            if time.monotonic() >= until:
                messages.print("The drain stays in force.")
                raise
            if not away:
                messages.print(f"[dim]{clean(str(exc))}: waiting for it[/]", soft_wrap=True)
            away = True
            time.sleep(AWAY_S)
            continue
        away = False
        yield found
        time.sleep(LOOK_EVERY_S)


def _look(wiring: Wiring) -> tuple[Draining | None, set[str], int]:
    """The drain, the dispatchers that have not confirmed it, and the number of objects in progress."""
    now = wiring.drain.read()
    running = wiring.health.services("dispatcher", wiring.clock() - GONE_S)
    return now, running - (now.confirmed if now else set()), wiring.ledger.in_flight()


def _progress(pending: list[Pending], left: int, first: int, passed: float) -> str:
    stages = ", ".join(f"{stage} {count:,}" for stage, count in Counter(one.stage for one in pending).most_common())
    rate = max(0, first - left) / passed
    eta = f", about {left / rate:.0f} s left" if rate > 0 else ""
    return f"{left:,} in progress ({stages}); {rate:.1f} a second{eta}"


def _silence(silent: Collection[str]) -> str:
    if not silent:
        return ""
    return (
        f"waiting for {len(silent)} dispatcher{'' if len(silent) == 1 else 's'}: busy, or ended within {GONE_S:g} s"
    )


def _over(wiring: Wiring, timeout: float, left: int, silent: int, *, json: bool, give_up: bool, stays: bool) -> None:
    """Say what is not finished, and whether the drain stays in force."""
    pending = wiring.records.pending(LISTED)
    if give_up:
        wiring.drain.end()
    if json:
        since = wiring.drain.read()
        rows = [{"id": one.oid, "stage": one.stage, "attempts": one.attempts, "fault": one.fault} for one in pending]
        body = {"drained": False, "since": rfc3339(since.since) if since else None, "in_flight": left,
                "unfinished": rows, "waiting": wiring.records.counts()["inbox"], "in_force": not give_up}  # fmt: skip
        console.out(msgspec.json.encode(body).decode(), highlight=False)
        return
    if left:
        messages.print(f"[red]{left:,} images were not finished within {timeout:g} s.[/]")
    if silent > 0:
        messages.print(
            f"[red]{silent} dispatcher{'' if silent == 1 else 's'} did not answer within {timeout:g} s.[/]"
        )
    for one in pending[:NAMED]:
        fault = f": {one.fault}" if one.fault else ""
        attempts = f"{one.attempts} attempt{'' if one.attempts == 1 else 's'}"
        messages.print(f"  {clean(f'{one.oid}  {one.stage}, {attempts}{fault}')}", soft_wrap=True)
    if len(pending) > NAMED:
        messages.print(f"  and {len(pending) - NAMED:,} more")
    if give_up:
        messages.print("The drain was ended: images are handed out again.")
    elif stays:
        messages.print("The drain is still in force: run `wildtag drain` again, or `wildtag undrain` to go on.")


def _end(wiring: Wiring, *, json: bool) -> None:
    draining, ended = wiring.drain.read(), wiring.drain.end()
    if json:
        since = rfc3339(draining.since) if draining else None
        console.out(msgspec.json.encode({"ended": ended, "since": since}).decode(), highlight=False)
    elif draining is None:
        console.print("Nothing is drained.")
    else:
        console.print(f"The drain since {local_time(draining.since)} is over: what has waited is tagged.")


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    for command in (drain, undrain):
        app.command(rich_help_panel=RUN)(command)
