"""``dead``: objects that were given up. List them, show why, tag them again, or acknowledge them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from workers.cli.ages import since_of
from workers.cli.connection import connected
from workers.cli.console import Footnotes, clean, console, messages
from workers.cli.dead_lines import code_of, lines, reason_of
from workers.cli.local_time import local_time
from workers.cli.panels import OPERATE
from workers.cli.results import Json
from workers.lifecycle.record_view import FULL

if TYPE_CHECKING:
    from workers.lifecycle.dead import DeadFilter, DeadObjects
    from workers.lifecycle.record import Record, State
    from workers.wiring.wiring import Wiring

app = typer.Typer(
    no_args_is_help=True,
    help="Objects that were given up: list them, show why, tag them again, or acknowledge them.",
)

STATES = ("dead", "failed")
ACKNOWLEDGED_AT_ONCE = 500

Keys = Annotated[list[str] | None, typer.Argument(help="Keys in the bucket.")]
Everything = Annotated[bool, typer.Option("--all", help="All that the other options select.")]
Reason = Annotated[
    list[str] | None, typer.Option("--reason", help="Only with this error code, such as poisonous or gave-up.")
]
Prefix = Annotated[str | None, typer.Option(help="Only objects whose keys begin with this prefix.")]
Since = Annotated[str | None, typer.Option(help="Only since a date, a time, or an age such as 36h.")]
OfState = Annotated[str, typer.Option("--state", help="dead: given up after all attempts. failed: cannot be tagged.")]
Bucket = Annotated[str | None, typer.Option(help="Name of the bucket; default: WILDTAG_BUCKET.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print the keys, and change nothing.")]
Acknowledged = Annotated[bool, typer.Option("--acknowledged", help="Also those that were acknowledged.")]


@app.command("list")
def listed(
    json: Json = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of objects.")] = None,
    reason: Reason = None,
    prefix: Prefix = None,
    since: Since = None,
    state: OfState = "dead",
    acknowledged: Acknowledged = False,
    bucket: Bucket = None,
) -> None:
    """List the objects that were given up and are not acknowledged, the newest object first, with the reason."""
    wiring = connected()
    which = _filter(wiring, reason, prefix, since, state, bucket, acknowledged=acknowledged)
    dead = _dead(wiring)
    found = islice(dead.all(which), limit)
    if json:
        for record in found:
            _print_json(record, acknowledged=acknowledged and dead.acknowledged([record])[0])
        return
    rows = list(found)
    view = Table("key", "when", "code", "reason", pad_edge=False, box=None)
    notes = Footnotes((reason_of(record) for record in rows), "objects")
    for record in rows:
        view.add_row(
            clean(record.key), local_time(record.finished_at), code_of(record), notes.cell(reason_of(record))
        )
    if rows:
        console.print(view)
        notes.print()
    else:
        messages.print(f"There are no {which.state} objects{_narrowed(which)}.")


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="Key in the bucket.")],
    json: Json = False,
    bucket: Bucket = None,
) -> None:
    """Show one object: why it has no tags, when, at which attempt, and how to try it. Exit status 1: it has tags."""
    wiring = connected()
    dead = _dead(wiring)
    bucket = bucket or wiring.settings.bucket
    (record,) = wiring.records.get([f"{bucket}/{key}"])
    if record is None or record.state not in STATES:
        has = "no record" if record is None else f"a record in the state {record.state}"
        messages.print(f"[red]{clean(key)}: not dead[/]: it has {has} in the bucket {clean(bucket)}", soft_wrap=True)
        raise typer.Exit(1)
    marked = dead.acknowledged([record])[0]
    if json:
        _print_json(record, acknowledged=marked)
        return
    view = Table(show_header=False, pad_edge=False, box=None)
    for name, value in lines(wiring, record, acknowledged=marked):
        view.add_row(name, clean(value))
    console.print(view)


@app.command()
def replay(
    keys: Keys = None,
    everything: Everything = False,
    reason: Reason = None,
    prefix: Prefix = None,
    since: Since = None,
    state: OfState = "dead",
    bucket: Bucket = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Tag objects again, at low priority: new objects go first. Some, or all that the options select.

    With --state failed, objects that cannot be tagged: after a limit was raised, for example. Exit status 1: a key is
    not there.
    """
    wiring = connected()
    which = _filter(wiring, reason, prefix, since, state, bucket)
    chosen, missing = _chosen(wiring, which, keys, everything=everything)
    if dry_run:
        _print_keys(chosen, "would be tagged again")
    elif chosen:
        if not keys and not yes:
            typer.confirm(f"Tag {_objects(len(chosen))} again?", abort=True)
        put = _queue(wiring, which.bucket, chosen)
        messages.print(f"{_objects(put)} queued for tagging")
    elif not missing:
        messages.print(f"There are no {which.state} objects{_narrowed(which)}.")
    _say_missing(missing, which.state)


@app.command()
def drop(
    keys: Keys = None,
    everything: Everything = False,
    reason: Reason = None,
    prefix: Prefix = None,
    since: Since = None,
    bucket: Bucket = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Acknowledge dead objects: `status`, checks and alerts count them no more. Their records stay.

    A comparison with the bucket does not tag them again. A new version of the object does, and so does `wildtag dead
    replay KEY` or `wildtag retag`; either clears the mark. Exit status 1: a key is not there.
    """
    wiring = connected()
    which = _filter(wiring, reason, prefix, since, "dead", bucket)
    chosen, missing = _chosen(wiring, which, keys, everything=everything)
    if dry_run:
        _print_keys(chosen, "would be acknowledged")
        _say_missing(missing, "dead")
        return
    if chosen and not keys and not yes:
        typer.confirm(f"Acknowledge {_objects(len(chosen))}?", abort=True)
    answers: list[str] = []
    for start in range(0, len(chosen), ACKNOWLEDGED_AT_ONCE):
        part = chosen[start : start + ACKNOWLEDGED_AT_ONCE]
        answers += wiring.ledger.acknowledge([f"{which.bucket}/{key}" for key in part])
    # tagged again, or removed, since they were read
    missing += [key for key, answer in zip(chosen, answers, strict=True) if answer == "not-dead"]
    before = answers.count("already")
    messages.print(
        f"{_objects(answers.count('acknowledged'))} acknowledged{f', {before:,} before' if before else ''}"
    )
    _say_missing(missing, "dead")


def _filter(
    wiring: Wiring, reason: Sequence[str] | None, prefix: str | None, since: str | None, state: str,
    bucket: str | None, *, acknowledged: bool = False,
) -> DeadFilter:  # fmt: skip
    from workers.lifecycle.dead import DeadFilter  # noqa: PLC0415 -- keeps the command line quick

    earliest = since_of(since)
    return DeadFilter(
        bucket or wiring.settings.bucket, prefix or "", tuple(reason or ()), earliest, _state(state), acknowledged
    )


def _state(given: str) -> State:
    if given == "dead":
        return "dead"
    if given == "failed":
        return "failed"
    raise typer.BadParameter(f"unknown state {given!r}; choose one of {', '.join(STATES)}")


def _dead(wiring: Wiring) -> DeadObjects:
    from workers.lifecycle.dead import DeadObjects  # noqa: PLC0415 -- keeps the command line quick

    return DeadObjects(wiring.records)


def _chosen(
    wiring: Wiring, which: DeadFilter, keys: Sequence[str] | None, *, everything: bool
) -> tuple[list[str], list[str]]:
    """The keys that the arguments choose, and those that are named and not there. Raises ``typer.BadParameter``."""
    narrowed = bool(which.codes or which.prefix or which.since is not None)
    if bool(keys) == (everything or narrowed):
        raise typer.BadParameter("give keys, or --all, or choose with --reason, --prefix or --since")
    dead = _dead(wiring)
    if keys:
        there, missing = dead.of(which.bucket, list(dict.fromkeys(keys)), which.state)
        return [record.key for record in there], missing
    # listed first, to leave out objects that die again in the meantime
    return [record.key for record in dead.all(which)], []


def _queue(wiring: Wiring, bucket: str, keys: Sequence[str]) -> int:
    """Queue objects, with a progress bar, until all are dispatched."""
    from workers.dispatch.retag import retag  # noqa: PLC0415 -- keeps the command line quick
    from workers.lifecycle.record_reader import PAGE, in_pages  # noqa: PLC0415 -- as above

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=messages, transient=True) as progress:
        bar = progress.add_task("queueing", total=len(keys))

        def wait(done: int) -> None:
            progress.update(bar, completed=max(0, done))
            time.sleep(0.2)

        return retag(in_pages(iter(keys), PAGE), bucket, wiring.low_priority_inbox, wait)


def _print_json(record: Record, *, acknowledged: bool) -> None:
    """The record as ``results --json`` prints it, and whether it was acknowledged."""
    row = FULL.record(record) | {"acknowledged": acknowledged}
    console.out(msgspec.json.encode(row).decode(), highlight=False)


def _print_keys(keys: Sequence[str], what: str) -> None:
    for key in keys:
        console.print(clean(key), soft_wrap=True, highlight=False)
    messages.print(f"{_objects(len(keys))} {what}")


def _say_missing(missing: Sequence[str], state: State) -> None:
    if missing:
        messages.print(f"[red]Not {state}, or not there:[/] {clean(', '.join(missing))}", soft_wrap=True)
        raise typer.Exit(1)


def _objects(number: int) -> str:
    return f"{number:,} object{'' if number == 1 else 's'}"


def _narrowed(which: DeadFilter) -> str:
    """What follows where nothing was found."""
    chosen = which.codes or which.prefix or which.since is not None
    left = "" if which.acknowledged or which.state != "dead" else " that are not acknowledged"
    return " of this kind" if chosen else left


def add_to(app_: typer.Typer) -> None:
    """Register this module's commands."""
    app_.add_typer(app, name="dead", rich_help_panel=OPERATE)
