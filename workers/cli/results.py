"""``results``, ``watch`` and ``status``: read the state of a stack."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from vectordb.errors import Transient
from workers.cli.connection import connected
from workers.cli.console import clean, console, messages
from workers.cli.panels import OPERATE, TAG
from workers.cli.show import line, print_json, show
from workers.lifecycle.record import STATES, Record, State, as_state, decode
from workers.settings.dependencies import BROKER, REDIS
from workers.stores.folder_names import key_text

if TYPE_CHECKING:
    from workers.broker.depths import Depths
    from workers.images.coverage import Coverage
    from workers.images.findings import Standing
    from workers.lifecycle.losses import Lost
    from workers.lifecycle.record_reader import FeedItem, Records
    from workers.lifecycle.spelling import Spellings
    from workers.outages.board import Outage
    from workers.wiring.wiring import Wiring

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


def results(
    keys: Annotated[list[str] | None, typer.Argument(help="Keys in the bucket; default: all.")] = None,
    json: Json = False,
    tag: Annotated[
        str | None, typer.Option(help="Only images with this tag, in any spelling, or a narrower one; surest first.")
    ] = None,
    state: Annotated[str | None, typer.Option(help=f"Only records in this state: {', '.join(STATES)}.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of records, newest or surest first.")
    ] = None,
) -> None:
    """Show the records of images: their tags, or the reason why there are none."""
    from workers.wiring.operations import spellings  # noqa: PLC0415 -- keeps the command line quick

    if state is not None and as_state(state) is None:
        raise typer.BadParameter(f"unknown state {state!r}; choose one of {', '.join(STATES)}")
    if keys and tag is not None:
        raise typer.BadParameter("give keys or --tag, not both")
    if tag is not None and not tag.strip():
        raise typer.BadParameter("--tag is empty: name a tag")
    wiring = connected()
    if not keys:
        found = _chosen(wiring.records, tag, as_state(state) if state else None, limit)
        if not show(found, json=json) and not json:
            messages.print(_nothing(wiring.records, tag), soft_wrap=True)
        return
    bucket = wiring.settings.bucket
    lookup = spellings(wiring)
    keys = [lookup.find(bucket, key_text(key)) for key in keys]  # a name that is not UTF-8 is shown as its key
    missing = []
    records: list[Record] = []
    for key, record in zip(keys, wiring.records.get([f"{bucket}/{key}" for key in keys]), strict=True):
        if record is None:
            missing.append(key)
        elif state in {None, record.state}:
            records.append(record)
    show(records, json=json)
    _show_missing(wiring, missing, lookup)
    if missing:
        raise typer.Exit(1)


def _nothing(records: Records, tag: str | None) -> str:
    if tag is None:
        return "There are no results yet."
    hint = records.tag_hints.unknown([tag]) or f"no image has the tag {tag!r} and this state"
    return f"There are no results: {clean(hint)}"


def _chosen(records: Records, tag: str | None, state: State | None, limit: int | None) -> Iterator[Record]:
    """The newest records, or those with a tag, surest first."""
    from workers.lifecycle.record_reader import PAGE  # noqa: PLC0415 -- keeps the command line quick

    if tag is None:
        yield from records.latest(limit, state)
        return
    start, left = 0, limit
    while left != 0 and (hits := records.tag_index.hits(tag, 0.0, start, PAGE)):
        found = [decode(hit.body) for hit in hits if hit is not None]
        chosen = [record for record in found if state in {None, record.state}][:left]
        yield from chosen
        start, left = start + len(hits), None if left is None else left - len(chosen)


def _show_missing(wiring: Wiring, keys: list[str], lookup: Spellings) -> None:
    """Print for each key why it has no record."""
    bucket = wiring.settings.bucket
    in_progress = {p.oid: p for p in wiring.records.pending(10_000)} if keys else {}
    for key in keys:
        pending = in_progress.get(f"{bucket}/{key}")
        rule = wiring.object_filter.ignored_by(key)
        if pending:
            messages.print(f"{clean(key)}: in progress ({pending.stage})")
        elif rule is not None:
            messages.print(f"[red]{clean(key)}: not tagged:[/] {clean(rule)}", soft_wrap=True)
        else:
            hint = clean(lookup.hint(bucket, key))
            messages.print(f"[red]{clean(key)}: no record[/] in the bucket {escape(bucket)}{hint}", soft_wrap=True)


def watch(json: Json = False) -> None:
    """Show results as they arrive, until Ctrl-C. Waits while Redis is unavailable, then resumes where it stopped."""
    wiring = connected()
    after = wiring.records.feed_end()
    if not json:
        messages.print(f"Watching {escape(str(wiring.settings.inbox_folder))}; press Ctrl-C to stop.")
    try:
        for item in _feed(wiring.records, after):
            if item.record is None:
                if json:
                    gone = msgspec.json.encode({"id": item.oid, **item.removed})
                    console.out(gone.decode(), highlight=False)
                else:
                    console.print(f"[dim]{clean(item.oid)}  removed[/]")
            elif json:
                print_json(item.record)
            else:
                console.print(line(item.record), soft_wrap=True)
    except KeyboardInterrupt:
        raise typer.Exit from None


def _feed(records: Records, after: str) -> Iterator[FeedItem]:
    """The items behind an entry of the feed, without end. Reports a gap if an outage outlasted the feed."""
    from workers.redis.streams import entry_order  # noqa: PLC0415 -- keeps the command line quick

    away = False
    while True:
        try:
            if away:
                oldest = records.feed_begin()
                if oldest is not None and entry_order(after) < entry_order(oldest):
                    messages.print("[yellow]Some results are missing here:[/] the feed no longer contains them.")
                messages.print("Connected again.")
                away = False
            for item in records.feed(after, block_ms=1000):
                after = item.id
                yield item
        except Transient as exc:
            if not away:
                messages.print(f"[yellow]Waiting:[/] {escape(str(exc))}", soft_wrap=True)
            away = True
            time.sleep(0.5)


def status(json: Json = False) -> None:
    """Show how many objects wait, are in progress or finished, each stage's last progress, and current outages.

    Exit status 1: Redis is unavailable, so nothing else is known.
    """
    from workers.wiring.operations import coverage, images_standing, losses  # noqa: PLC0415 -- keeps the command line quick

    wiring = connected()
    now = wiring.clock()
    depths, standing = _standing(wiring)
    if any(one.name == "redis" for one in standing):
        standing = [
            msgspec.structs.replace(one, since=None) for one in standing
        ]  # not known: this command has just started
        if json:
            console.out(msgspec.json.encode({"outages": standing}).decode(), highlight=False)
        _show_outages(standing, now)
        raise typer.Exit(1)
    counts = wiring.records.counts()
    beats = {name: round(now - at, 1) for name, at in sorted(wiring.health.beats().items())}
    common = wiring.records.tag_index.common(10)
    sources, held = wiring.sources.conditions(), wiring.holds.active()
    damaged, images, found = wiring.records.damaged.list(), images_standing(wiring).read(), coverage(wiring).read()
    lost, refilling = losses(wiring).read(), wiring.refill.since()
    if json:
        body = {"counts": counts, "queues": depths, "seconds_since_progress": beats, "tags": dict(common),
                "outages": standing,
                "sources": sources, "held_removals": held, "damaged_records": damaged,
                "image_index": images, "coverage": found.row(), "data_loss": lost, "refilling_since": refilling,
                "home": str(wiring.settings.home), "inbox": str(wiring.settings.inbox_folder)}  # fmt: skip
        console.out(msgspec.json.encode(body).decode(), highlight=False)
        return
    view = Table(show_header=False, pad_edge=False, box=None)
    for name, count in counts.items():
        view.add_row(name.replace("_", " "), f"{count:,}")
    view.add_row("queues", queue_line(depths))
    view.add_row("most frequent tags", ", ".join(f"{escape(label)} {n}" for label, n in common) or "–")
    view.add_row("last progress", ", ".join(f"{name} {ago:.0f} s ago" for name, ago in beats.items()) or "–")
    _add_index(view, found, images, now)
    for source, condition in sources.items():
        if condition.state != "working":
            since = datetime.fromtimestamp(condition.since, UTC).astimezone().isoformat(" ", "seconds")
            view.add_row(source, clean(f"{condition.state} since {since}: {condition.reason}"))
    console.print(view)
    _show_outages(standing, now)
    _show_loss(lost, refilling, now)
    _show_incomplete(found)
    for hold in held:
        messages.print(f"[yellow]{clean(hold.summary)}[/]", soft_wrap=True)
    if damaged:
        shown = ", ".join(damaged[:5]) + (" …" if len(damaged) > 5 else "")
        number = f"{len(damaged):,} damaged record{'' if len(damaged) == 1 else 's'}"
        messages.print(f"[yellow]{number}[/], tagged again after the next comparison: {clean(shown)}", soft_wrap=True)
    for pending in wiring.records.pending(10):
        fault = f": {pending.fault}" if pending.fault else ""
        attempts = f"{pending.attempts} attempt{'' if pending.attempts == 1 else 's'}"
        console.print(f"[dim]{clean(f'{pending.oid}  {pending.stage}, {attempts}{fault}')}[/]")


def _standing(wiring: Wiring) -> tuple[Depths | None, list[Outage]]:
    """What is on the queues, and the current outages."""
    from workers.outages.board import Outage  # noqa: PLC0415 -- keeps the command line quick

    depths, away = None, None
    try:
        depths = wiring.publisher.depths()
    except Transient as exc:
        away = Outage(name=BROKER, reason=str(exc), since=None)
    standing = wiring.outages.active()
    if away is not None and all(one.name not in {BROKER, REDIS} for one in standing):
        standing.append(away)
    return depths, standing


def queue_line(depths: Depths | None) -> str:
    """The queues on which messages wait, and those that no worker consumes."""
    from workers.settings.settings import STAGES  # noqa: PLC0415 -- keeps the command line quick

    if depths is None:
        return "unknown"
    found = [f"{name} {one.ready:,}" for name, one in depths.queues.items() if one.ready]
    if depths.unacknowledged:
        found.append(f"with workers {depths.unacknowledged:,}")
    idle = [stage for stage in STAGES if depths.queues[stage].consumers == 0]
    return "; ".join(filter(None, [", ".join(found) or "empty", f"no worker: {', '.join(idle)}" if idle else ""]))


def _add_index(view: Table, found: Coverage, last: Standing | None, now: float) -> None:
    """Rows of what is in the index of images now, and of when it was compared with the records."""
    view.add_row("images in the index", found.count)
    if last is not None:
        view.add_row("last comparison", f"{last.indexed:,} of {last.records:,}, {now - last.at:.0f} s ago")


def _show_incomplete(found: Coverage) -> None:
    if found.incomplete is not None:
        messages.print(f"[yellow]{clean(found.incomplete)}[/]", soft_wrap=True)


def _show_loss(lost: Lost | None, refilling: float | None, now: float) -> None:
    """Print what the last loss of all keys has cost, and whether records are being made again."""
    if lost is not None:
        when = datetime.fromtimestamp(lost.at, UTC).astimezone().isoformat(" ", "seconds")
        messages.print(f"[yellow]{clean(str(lost))}[/] ({when})", soft_wrap=True)
    if refilling is not None:
        messages.print(
            f"[yellow]Records are incomplete:[/] Redis was empty {now - refilling:.0f} s ago, and the bucket was not"
            " compared completely since",
            soft_wrap=True,
        )


def _show_outages(standing: Iterable[Outage], now: float) -> None:
    """Print each outage: the service, its duration, and how many objects wait for it."""
    for one in standing:
        since = "" if one.since is None else f" for {now - one.since:.0f} s"
        waiting = "" if one.waiting is None else f"; {one.waiting:,} objects are waiting"
        messages.print(
            f"[red]{clean(one.name)} is unavailable{since}[/]{waiting}: {clean(one.reason)}", soft_wrap=True
        )


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    for command in (results, watch):
        app.command(rich_help_panel=TAG)(command)
    app.command(rich_help_panel=OPERATE)(status)
