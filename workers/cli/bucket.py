"""``reconcile`` and ``retag``: compare a bucket with its records, and tag objects again."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from vectordb.errors import Transient
from workers.cli.ages import since_of
from workers.cli.connection import connected, process_settings
from workers.cli.console import clean, console, messages
from workers.cli.panels import BUCKET, RUN
from workers.lifecycle.record import STATES, as_state
from workers.lifecycle.times import public

if TYPE_CHECKING:
    from workers.dispatch.reconcile import Sweep
    from workers.dispatch.removals import Hold

STEP_S = 0.5


def reconcile(
    bucket: Annotated[str | None, typer.Option(help="Name of the bucket; default: WILDTAG_BUCKET.")] = None,
    prefix: Annotated[str, typer.Option(help="Only keys that begin with this prefix.")] = "",
    since: Annotated[
        str | None, typer.Option(help="Only objects changed since this date or within this age: 2025-06-01, 36h, 7d.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Maximum objects per second; default: WILDTAG_RECONCILE_RATE.")
    ] = None,
    resume: Annotated[
        bool, typer.Option(" /--no-resume", help="Do not go on where a pass was interrupted.", show_default=False)
    ] = True,
    confirm_removals: Annotated[
        bool,
        typer.Option(
            "--confirm-removals", help="Remove the records of all missing objects, also where removals are held."
        ),
    ] = False,
    every: Annotated[float | None, typer.Option(min=1, help="Repeat the comparison every so many seconds.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Compare a bucket with its records: queue objects that events missed, and drop records of removed objects."""
    if every is not None:
        if bucket or prefix or since or not resume or json or confirm_removals:
            raise typer.BadParameter(
                "--every compares the whole configured bucket; the only option that it accepts is --rate"
            )
        from workers.processes.reconcile import run_reconcile  # noqa: PLC0415 -- keeps the command line quick

        settings = process_settings()
        rate = rate or settings.reconcile_rate
        run_reconcile(settings.model_copy(update={"rescan_s": every, "reconcile_rate": rate}))
        return
    from workers.wiring.dispatch import sweeper as sweeper_of  # noqa: PLC0415 -- keeps the command line quick

    wiring = connected()
    earliest = since_of(since)
    sweeper = sweeper_of(
        wiring, bucket, prefix=prefix, since=earliest, resume=resume, rate=rate, confirmed=confirm_removals
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the lock is released however the command ends
    began = time.monotonic()
    try:
        with _progress() as progress:
            bar = progress.add_task("comparing", total=None)
            while not sweeper.step(STEP_S):
                progress.update(
                    bar, completed=sweeper.progress.seen, description=f"comparing {sweeper.progress.after[-40:]}"
                )
                time.sleep(0.05)
    except KeyboardInterrupt:
        messages.print("Interrupted. The next run resumes from here.")
        raise typer.Exit(130) from None
    finally:
        with contextlib.suppress(Transient):  # then the lock expires
            sweeper.release()
    held = [hold for hold in wiring.holds.active() if hold.bucket == (bucket or wiring.settings.bucket)]
    _print(sweeper.progress, time.monotonic() - began, held, json=json)


def writer() -> None:
    """Run the writer, which stores tags beside the images."""
    from workers.processes.writer import run_writer  # noqa: PLC0415 -- keeps the command line quick

    run_writer(process_settings())


def retag(
    prefix: Annotated[str | None, typer.Option(help="Objects whose keys begin with this prefix.")] = None,
    tag: Annotated[str | None, typer.Option(help="Objects that have this tag.")] = None,
    captions: Annotated[
        str | None, typer.Option(help="Objects tagged with this caption database, NAME\\[@VERSION].")
    ] = None,
    outdated: Annotated[
        bool, typer.Option("--outdated", help="Objects tagged with captions that are no longer in use.")
    ] = False,
    state: Annotated[str | None, typer.Option(help=f"Objects in this state: {', '.join(STATES)}.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All objects.")] = False,
    bucket: Annotated[str | None, typer.Option(help="Name of the bucket; default: WILDTAG_BUCKET.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the number of objects as JSON.")] = False,
) -> None:
    """Tag objects again, at low priority: new objects go first.

    An object must match all the options that are given.
    """
    from workers.dispatch.retag import Selection, selected  # noqa: PLC0415 -- keeps the command line quick
    from workers.dispatch.retag import retag as queue_again  # noqa: PLC0415 -- as above

    if tag is not None and not tag.strip():
        raise typer.BadParameter("--tag is empty: name a tag")
    if not (everything or outdated or any((prefix, tag, captions, state))):
        raise typer.BadParameter(
            "choose objects with --prefix, --tag, --captions, --outdated or --state, or pass --all"
        )
    if state is not None and as_state(state) is None:
        raise typer.BadParameter(f"unknown state {state!r}; choose one of {', '.join(STATES)}")
    wiring = connected()
    selection = Selection(
        bucket or wiring.settings.bucket, prefix or "", tag, as_state(state) if state else None, captions,
        wiring.chosen() if outdated else None,
    )  # fmt: skip
    if everything or outdated:  # what has no record yet is not selected, and may end with what was before
        wiring.ledger.tag_again(wiring.current())
    total = sum(map(len, selected(wiring.records, selection)))
    with _progress() as progress:
        bar = progress.add_task("queueing", total=total)

        def wait(done: int) -> None:
            progress.update(bar, completed=max(0, done))
            time.sleep(0.2)

        put = queue_again(selected(wiring.records, selection), selection.bucket, wiring.low_priority_inbox, wait)
    if json:
        console.out(msgspec.json.encode({"objects": put}).decode(), highlight=False)
    else:
        console.print(f"{put:,} object{'' if put == 1 else 's'} queued for tagging")


def _print(sweep: Sweep, took: float, held: list[Hold], *, json: bool) -> None:
    if json:
        body = {
            "seen": sweep.seen, "sent": sweep.sent, "gone": sweep.gone, "seconds": round(took, 3),
            "held_removals": public(held),
        }  # fmt: skip
        console.out(msgspec.json.encode(body).decode(), highlight=False)
    else:
        console.print(
            f"{sweep.seen:,} objects compared, {sweep.sent:,} queued for tagging,"
            f" {sweep.gone:,} records of removed objects"
        )
        for hold in held:
            messages.print(f"[yellow]{clean(hold.summary)}[/]", soft_wrap=True)


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
