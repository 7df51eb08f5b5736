"""``status``: the state of a stack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from vectordb.errors import Transient
from workers.cli.connection import connected
from workers.cli.console import clean, console, messages
from workers.cli.local_time import local_time
from workers.cli.panels import OPERATE
from workers.cli.results import Json
from workers.cli.webhook_receivers import state_of
from workers.lifecycle.times import public, rfc3339, rfc3339_or_none
from workers.settings.dependencies import BROKER, REDIS

if TYPE_CHECKING:
    from workers.broker.depths import Depths
    from workers.events.sources import Condition
    from workers.images.coverage import Coverage
    from workers.images.findings import Standing
    from workers.lifecycle.losses import Lost
    from workers.notifying.receivers import Standing as Receiver
    from workers.outages.board import Outage
    from workers.redis.heartbeats import ProcessNote
    from workers.redis.models_in_use import ModelInUse
    from workers.wiring.wiring import Wiring


def status(json: Json = False) -> None:
    """Show how many objects wait, are in progress or finished, each stage's last progress, and current outages.

    Exit status 1: Redis, or one of its partitions, is unavailable, so nothing else is known.
    """
    from workers.redis.partition_faults import partition_of  # noqa: PLC0415 -- keeps the command line quick
    from workers.redis.words_progress import WordsProgressBoard  # noqa: PLC0415 -- as above
    from workers.wiring.operations import coverage, images_standing, losses  # noqa: PLC0415 -- as above

    wiring = connected()
    now = wiring.clock()
    depths, standing = _standing(wiring)
    if any(one.name == REDIS or partition_of(one.name) is not None for one in wiring.outages.own.active()):
        standing = [
            msgspec.structs.replace(one, since=None) for one in standing
        ]  # not known: this command has just started
        if json:
            console.out(msgspec.json.encode(public({"outages": standing})).decode(), highlight=False)
        _show_outages(standing, now)
        raise typer.Exit(1)
    counts = wiring.records.counts()
    ages = {name: round(age, 1) for name, age in sorted(wiring.health.ages().items())}
    common = wiring.records.tag_index.common(10)
    sources, held = wiring.sources.conditions(), wiring.holds.active()
    damaged, images, found = wiring.records.damaged.list(), images_standing(wiring).read(), coverage(wiring).read()
    receivers = wiring.receivers.standing()
    lost, refilling = losses(wiring).read(), wiring.refill.since()
    processes = wiring.health.processes()
    models, words = wiring.models_in_use.read(), WordsProgressBoard(wiring.redis, wiring.keys).read()
    if json:
        body = {"counts": counts, "queues": depths, "seconds_since_progress": ages, "tags": dict(common),
                "outages": public(standing), "processes": public(processes), "models": public(models),
                "words_ahead": words, "sources": public(sources), "held_removals": public(held),
                "damaged_records": damaged, "image_index": public(images), "coverage": found.row(),
                "webhooks": public(receivers), "data_loss": public(lost),
                "refilling_since": rfc3339_or_none(refilling),
                **_upgrade(wiring),
                "home": str(wiring.settings.home), "inbox": str(wiring.settings.inbox_folder)}  # fmt: skip
        console.out(msgspec.json.encode(body).decode(), highlight=False)
        return
    view = Table(show_header=False, pad_edge=False, box=None)
    for name, count in counts.items():
        view.add_row(name.replace("_", " "), f"{count:,}")
    view.add_row("queues", queue_line(depths))
    view.add_row("most frequent tags", ", ".join(f"{escape(label)} {n}" for label, n in common) or "–")
    view.add_row("last progress", progress_line(ages))
    _add_index(view, found, images, now)
    for name, described in model_rows(models):
        view.add_row(name, escape(described))
    if words is not None:
        view.add_row("words ahead", clean(str(words)))
    _add_sources(view, sources)
    _add_receivers(view, receivers)
    console.print(view)
    _show_outages(standing, now)
    _show_clocks([note.clock for note in processes])
    _show_loss(lost, refilling, now)
    _show_upgrade(wiring, processes)
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
        seconds = max(0.0, now - last.at)
        view.add_row(
            "index last checked", f"{seconds:.0f} s ago, with {last.indexed:,} of {last.records:,} images then"
        )


def _add_receivers(view: Table, receivers: Iterable[Receiver]) -> None:
    """Rows of the receivers of webhooks."""
    for one in receivers:
        view.add_row(f"webhook {clean(one.name)}", clean(f"{state_of(one)}, {one.waiting:,} waiting"))


def _add_sources(view: Table, sources: Mapping[str, Condition]) -> None:
    """Rows of the event sources that do not work."""
    for source, condition in sources.items():
        if condition.state != "working":
            since = local_time(condition.since)
            view.add_row(source, clean(f"{condition.state} since {since}: {condition.reason}"))


def model_rows(models: Iterable[ModelInUse]) -> list[tuple[str, str]]:
    """The models that workers have loaded: their queues and role; device, number format and batch.

    A worker of several queues has each model once.
    """
    shared: dict[tuple[str, str, str], list[str]] = {}
    for one in models:
        shared.setdefault((one.process, one.model, str(one)), []).append(one.queue)
    return [(f"{', '.join(queues)}: {model}", described) for (_, model, described), queues in shared.items()]


def progress_line(ages: Mapping[str, float]) -> str:
    """How many seconds ago each process made progress."""
    return ", ".join(f"{name} {ago:.0f} s ago" for name, ago in ages.items()) or "–"


def _show_incomplete(found: Coverage) -> None:
    if found.incomplete is not None:
        messages.print(f"[yellow]{clean(found.incomplete)}[/]", soft_wrap=True)


def _upgrade(wiring: Wiring) -> dict[str, object]:
    """What is in force during an upgrade, as JSON values."""
    from workers.wiring.encoder_change import progress_of  # noqa: PLC0415 -- keeps the command line quick

    draining = wiring.drain.read()
    since = None if draining is None else rfc3339(draining.since)
    return {"draining_since": since, "encoder_change": progress_of(wiring)}


def _show_upgrade(wiring: Wiring, processes: Iterable[ProcessNote]) -> None:
    """Print whether several releases run, and whether a drain is in force."""
    from workers.redis.heartbeats import mixed_releases  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.encoder_change import progress_of  # noqa: PLC0415 -- as above

    if (mixed := mixed_releases(processes)) is not None:
        messages.print(f"[yellow]{clean(mixed)}[/]", soft_wrap=True)
    if (change := progress_of(wiring)) is not None:
        messages.print(
            f"[yellow]{clean(str(change['encoder']))} prepares to be used:[/] {change['prepared']:,} images."
            " `wildtag encoder status` compares, `wildtag encoder resume` goes on", soft_wrap=True,
        )  # fmt: skip
    if (draining := wiring.drain.read()) is not None:
        since = local_time(draining.since)
        messages.print(
            f"[yellow]Draining since {since}:[/] images are accepted, and none is tagged until `wildtag undrain`",
            soft_wrap=True,
        )


def _show_clocks(offsets: Iterable[tuple[str, float]]) -> None:
    """Print which hosts have a wrong clock."""
    from workers.redis.redis_clock import off  # noqa: PLC0415 -- keeps the command line quick

    for line in off(offsets):
        messages.print(f"[yellow]{clean(line)}[/]", soft_wrap=True)


def _show_loss(lost: Lost | None, refilling: float | None, now: float) -> None:
    """Print what the last loss of all keys has cost, and whether records are being made again."""
    if lost is not None:
        when = local_time(lost.at)
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
    """Register this module's command."""
    app.command(rich_help_panel=OPERATE)(status)
