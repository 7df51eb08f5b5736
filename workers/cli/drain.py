"""``drain`` and ``undrain``: let a stack finish what it has begun, before it is stopped."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
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
    from workers.redis.heartbeats import ProcessNote
    from workers.wiring.wiring import Wiring

LOOK_EVERY_S = 0.2
AWAY_S = 1.0  # between two looks while Redis does not answer
SAY_EVERY_S = 5.0
TIMEOUT_S = 600.0
SILENT_S = 30.0  # without a note, after which a dispatcher was killed or suspended: it notes itself every ten seconds
NAMED = 5  # objects that are named when the time is over
LISTED = 10_000


def drain(
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for what is in progress.")] = TIMEOUT_S,
    give_up: Annotated[bool, typer.Option("--give-up", help="End the drain again if the time is over.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="End a drain, as `wildtag undrain`.")] = False,
    ignore_silent: Annotated[
        bool, typer.Option("--ignore-silent", help="Take a dispatcher that does not answer for one that was killed.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="The outcome as one JSON object.")] = False,
) -> None:
    """Stop handing out images, and wait until those in progress are finished. New ones are stored and wait.

    Uploads and events are accepted as ever. The drain stays in force, also after restarts, until `wildtag undrain` or
    `wildtag up`. Exit status 1: the time was over before all was finished, or a dispatcher does not answer.
    """
    wiring = connected()
    if resume:
        _end(wiring, json=json)
        return
    if not drained(wiring, timeout, json=json, give_up=give_up, ignore_silent=ignore_silent):
        raise typer.Exit(1)


def undrain(json: Annotated[bool, typer.Option("--json", help="The outcome as one JSON object.")] = False) -> None:
    """End a drain: what has waited is tagged."""
    _end(connected(), json=json)


@dataclass(frozen=True)
class _Look:
    """``draining``: ``None`` if it was ended. ``awaited``: dispatchers that have not confirmed it and may do so soon.

    ``silent``: those that have not, and have given no sign for ``SILENT_S``. ``left``: objects in progress.
    """

    draining: Draining | None
    awaited: Collection[str]
    silent: Sequence[ProcessNote]
    left: int


def drained(
    wiring: Wiring, timeout: float, *, json: bool = False, give_up: bool = False, stays: bool = True,
    ignore_silent: bool = False,
) -> bool:  # fmt: skip
    """Drain a stack, with progress. Returns whether all was finished in time; otherwise says what was not.

    ``stays``: whether the drain stays in force then; otherwise the caller ends it, and says what it has done.
    ``ignore_silent``: whether dispatchers that give no sign count as ended.
    """
    draining = wiring.drain.begin()
    began = time.monotonic()
    first, said = None, began
    for now in _looks(wiring, began + timeout, ignore_silent=ignore_silent):
        if now.draining is None:  # another command has ended it
            messages.print("[red]The drain was ended meanwhile[/], by `wildtag undrain` or a start of the stack.")
            return False
        finished = not now.awaited and not now.left
        if finished and not now.silent:
            break
        first = now.left if first is None else first
        passed = time.monotonic() - began
        if finished or passed >= timeout:
            _over(wiring, timeout, now, json=json, give_up=give_up, stays=stays)
            return False
        if not json and time.monotonic() - said >= SAY_EVERY_S:
            said = time.monotonic()
            progress = now.left and _progress(wiring.records.pending(LISTED), now.left, first, passed)
            for line in (progress, _silence(now.awaited), *map(_suspended, now.silent)):
                if line:
                    messages.print(f"[dim]{line}[/]", soft_wrap=True)
    waiting = wiring.records.counts()
    if json:
        body = {"drained": True, "since": rfc3339(draining.since), "in_flight": 0, "unfinished": [],
                "waiting": waiting["inbox"], "in_force": True, "silent_dispatchers": []}  # fmt: skip
        console.out(msgspec.json.encode(body).decode(), highlight=False)
    elif stays:
        console.print(
            f"Drained: nothing is in progress, {waiting['inbox']:,} events wait. New images are stored, and tagged"
            " after `wildtag undrain` or the next `wildtag up`.", soft_wrap=True,
        )  # fmt: skip
    return True


def _looks(wiring: Wiring, until: float, *, ignore_silent: bool) -> Iterator[_Look]:
    """What ``_look`` finds, now and then. Waits while Redis is away, and raises its fault after ``until``."""
    away = False
    while True:
        try:
            found = _look(wiring, ignore_silent=ignore_silent)
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


def _look(wiring: Wiring, *, ignore_silent: bool) -> _Look:
    """What is so now. A dispatcher that gave no sign for long before the drain began was killed then."""
    from workers.redis.heartbeats import FRESH_S  # noqa: PLC0415 -- keeps the command line quick

    now, at = wiring.drain.read(), wiring.clock()
    if now is None:
        return _Look(None, (), (), 0)
    open_ = {name: note for name, note in wiring.health.notes("dispatcher").items() if name not in now.confirmed}
    awaited = [name for name, note in open_.items() if note.at >= at - SILENT_S]
    silent = [
        note for name, note in open_.items()
        if not ignore_silent and name not in now.earlier and now.since - FRESH_S <= note.at < at - SILENT_S
    ]  # fmt: skip
    return _Look(now, awaited, silent, wiring.ledger.in_flight())


def _progress(pending: list[Pending], left: int, first: int, passed: float) -> str:
    stages = ", ".join(f"{stage} {count:,}" for stage, count in Counter(one.stage for one in pending).most_common())
    rate = max(0, first - left) / passed
    eta = f", about {left / rate:.0f} s left" if rate > 0 else ""
    return f"{left:,} in progress ({stages}); {rate:.1f} a second{eta}"


def _silence(silent: Collection[str]) -> str:
    if not silent:
        return ""
    return (
        f"waiting for {len(silent)} dispatcher{'' if len(silent) == 1 else 's'}: busy, or ended within {SILENT_S:g} s"
    )


def _suspended(note: ProcessNote) -> str:
    return clean(
        f"a dispatcher on {note.host} has given no sign since {local_time(note.at)}, and has not ended: it was"
        " killed, or is suspended (SIGSTOP, a paused machine)"
    )


def _over(
    wiring: Wiring, timeout: float, now: _Look, *, json: bool, give_up: bool, stays: bool
) -> None:  # fmt: skip
    """Say what is not finished, and whether the drain stays in force."""
    left = now.left
    pending = wiring.records.pending(LISTED)
    if give_up:
        wiring.drain.end()
    if json:
        since = wiring.drain.read()
        rows = [{"id": one.oid, "stage": one.stage, "attempts": one.attempts, "fault": one.fault} for one in pending]
        body = {"drained": False, "since": rfc3339(since.since) if since else None, "in_flight": left,
                "unfinished": rows, "waiting": wiring.records.counts()["inbox"], "in_force": not give_up,
                "silent_dispatchers": [{"host": one.host, "since": rfc3339(one.at)} for one in now.silent],
                }  # fmt: skip
        console.out(msgspec.json.encode(body).decode(), highlight=False)
        return
    if left:
        messages.print(f"[red]{left:,} images were not finished within {timeout:g} s.[/]")
    _unanswered(now, timeout)
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


def _unanswered(now: _Look, timeout: float) -> None:
    """Say which dispatchers have not confirmed the drain."""
    awaited = len(now.awaited)
    if awaited:
        messages.print(
            f"[red]{awaited} dispatcher{'' if awaited == 1 else 's'} did not answer within {timeout:g} s.[/]"
        )
    for one in now.silent:
        messages.print(f"[red]Not drained for certain:[/] {_suspended(one)}", soft_wrap=True)
    if now.silent:
        messages.print(
            "A suspended one hands out images when it goes on. Resume or end it and run the command again; if it was"
            " killed, run `wildtag drain --ignore-silent`.", soft_wrap=True,
        )  # fmt: skip


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
