"""``results`` and ``watch``: read records."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape

from vectordb.errors import Transient
from workers.cli.connection import connected
from workers.cli.console import clean, console, messages
from workers.cli.panels import TAG
from workers.cli.show import line, print_json, show
from workers.lifecycle.record import STATES, Record, State, as_state
from workers.lifecycle.record_view import View
from workers.stores.folder_names import key_text

if TYPE_CHECKING:
    from workers.lifecycle.record_reader import FeedItem, Records
    from workers.lifecycle.spelling import Spellings
    from workers.wiring.wiring import Wiring

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


def results(
    keys: Annotated[list[str] | None, typer.Argument(help="Keys in the bucket; default: all.")] = None,
    json: Json = False,
    brief: Annotated[bool, typer.Option("--brief", help="With --json: without the evidence.")] = False,
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
        if not show(found, json=json, view=View(brief=brief)) and not json:
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
    show(records, json=json, view=View(brief=brief))
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
    from workers.lifecycle.record_reader import PAGE, in_pages  # noqa: PLC0415 -- keeps the command line quick

    if tag is None:
        yield from records.latest(limit, state)
        return
    left = limit
    for places in in_pages(iter(records.tag_index.ranked(tag, 0.0)), PAGE):
        found = [hit.record for hit in records.tag_index.read(tag, places) if hit is not None]
        chosen = [record for record in found if state in {None, record.state}][:left]
        yield from chosen
        left = None if left is None else left - len(chosen)
        if left == 0:
            return


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


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    for command in (results, watch):
        app.command(rich_help_panel=TAG)(command)
