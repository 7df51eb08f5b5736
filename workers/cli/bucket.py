"""``reconcile`` and ``retag``: a bucket compared with its records, and objects tagged once more."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from vectordb.errors import Transient
from workers.cli.panels import BUCKET, RUN
from workers.cli.show import console, messages
from workers.lifecycle.record import STATES, as_state
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from workers.dispatch.reconcile import Sweep
    from workers.wiring.wiring import Wiring

TURN_S = 0.5
AGES = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def reconcile(
    bucket: Annotated[str | None, typer.Option(help="The bucket that is followed when not given.")] = None,
    prefix: Annotated[str, typer.Option(help="Only keys that begin so.")] = "",
    since: Annotated[str | None, typer.Option(help="Only objects changed since: 2025-06-01, 36h, 7d.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Objects a second at the most; else WILDTAG_RECONCILE_RATE.")
    ] = None,
    resume: Annotated[bool, typer.Option(" /--no-resume", help="Do not go on where a pass was interrupted.")] = True,
    every: Annotated[float | None, typer.Option(min=1, help="Pass after pass, so many seconds apart.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was seen as JSON.")] = False,
) -> None:
    """Find what events have missed: objects without a record or changed since, and records without an object."""
    if every is not None:
        if bucket or prefix or since or not resume or json:
            raise typer.BadParameter("--every compares the whole bucket that is followed; give only --rate with it")
        from workers.embedded.stack import reached  # noqa: PLC0415 -- as above
        from workers.processes.reconcile import run_reconcile  # noqa: PLC0415 -- keeps the command line quick

        settings = reached(Settings())
        rate = rate or settings.reconcile_rate
        run_reconcile(settings.model_copy(update={"rescan_s": every, "reconcile_rate": rate}))
        return
    from workers.wiring.dispatch import sweeper as sweeper_of  # noqa: PLC0415 -- keeps the command line quick

    wiring = _reached()
    earliest = _moment(since)
    sweeper = sweeper_of(wiring, bucket, prefix=prefix, since=earliest, resume=resume, rate=rate)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it, nobody waits for its lock
    began = time.monotonic()
    try:
        with _progress() as progress:
            bar = progress.add_task("comparing", total=None)
            while not sweeper.step(TURN_S):
                progress.update(
                    bar, completed=sweeper.progress.seen, description=f"comparing {sweeper.progress.after[-40:]}"
                )
                time.sleep(0.05)
    except KeyboardInterrupt:
        messages.print("Interrupted; the next pass goes on where this one was.")
        raise typer.Exit(130) from None
    finally:
        with contextlib.suppress(Transient):  # the lock ends by itself, a little later
            sweeper.release()
    _say(sweeper.progress, time.monotonic() - began, json=json)


def writer() -> None:
    """Write tags back beside the images."""
    from workers.embedded.stack import reached  # noqa: PLC0415 -- as above
    from workers.processes.writer import run_writer  # noqa: PLC0415 -- keeps the command line quick

    run_writer(reached(Settings()))


def retag(
    prefix: Annotated[str | None, typer.Option(help="Objects whose keys begin so.")] = None,
    tag: Annotated[str | None, typer.Option(help="Objects that carry this tag.")] = None,
    captions: Annotated[str | None, typer.Option(help="Objects tagged with these captions, NAME[@VERSION].")] = None,
    outdated: Annotated[bool, typer.Option("--outdated", help="Objects tagged with captions not in use.")] = False,
    state: Annotated[str | None, typer.Option(help=f"Objects whose record is one of {', '.join(STATES)}.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All objects.")] = False,
    bucket: Annotated[str | None, typer.Option(help="The bucket that is followed when not given.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print how many as JSON.")] = False,
) -> None:
    """Tag objects again, behind everything that is new. What is given must all be met."""
    from workers.dispatch import retag as again  # noqa: PLC0415 -- keeps the command line quick

    if not (everything or outdated or any((prefix, tag, captions, state))):
        raise typer.BadParameter("say which objects, or --all")
    if state is not None and as_state(state) is None:
        raise typer.BadParameter(f"a state is one of {', '.join(STATES)}")
    wiring = _reached()
    which = again.Selection(
        bucket or wiring.settings.bucket, prefix or "", tag, as_state(state) if state else None, captions,
        wiring.chosen() if outdated else None,
    )  # fmt: skip
    total = sum(map(len, again.selected(wiring.records, which)))
    with _progress() as progress:
        bar = progress.add_task("tagging again", total=total)

        def wait(done: int) -> None:
            progress.update(bar, completed=max(0, done))
            time.sleep(0.2)

        put = again.retag(again.selected(wiring.records, which), which.bucket, wiring.low_priority_inbox, wait)
    if json:
        console.out(msgspec.json.encode({"objects": put}).decode(), highlight=False)
    else:
        console.print(f"{put:,} object{'' if put == 1 else 's'} sent to be tagged again")


def _reached() -> Wiring:
    from workers.embedded.stack import reached  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    wiring = Wiring(reached(Settings()))
    wiring.layout.require()
    return wiring


def _moment(since: str | None) -> float:
    """Unix seconds of a date, a time, or an age such as 36h."""
    if since is None:
        return 0.0
    if age := re.fullmatch(r"(\d+)([smhdw])", since):
        return (datetime.now(UTC) - timedelta(**{AGES[age[2]]: int(age[1])})).timestamp()
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise typer.BadParameter(f"{since!r} is neither a date, as 2025-06-01, nor an age, as 36h") from None
    return (moment if moment.tzinfo else moment.astimezone()).timestamp()


def _say(told: Sweep, took: float, *, json: bool) -> None:
    if json:
        body = {"seen": told.seen, "sent": told.sent, "gone": told.gone, "seconds": round(took, 3)}
        console.out(msgspec.json.encode(body).decode(), highlight=False)
    else:
        console.print(
            f"{told.seen:,} objects seen, {told.sent:,} to be tagged, {told.gone:,} records of objects that are gone"
        )


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=messages, transient=True,
    )  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    for command in (reconcile, retag):
        app.command(rich_help_panel=BUCKET)(command)
    app.command(rich_help_panel=RUN)(writer)
