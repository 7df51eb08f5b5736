"""How ``wildtag status`` shows an overview to people: a table of the stages, lines below it, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from workers.cli.console import clean
from workers.cli.encoder_elsewhere import feeder_lines
from workers.cli.local_time import local_time
from workers.cli.status.overview import Disk, Overview, Stage
from workers.cli.webhook_receivers import state_of
from workers.lifecycle.recent_results import Failures, Latency, Rate
from workers.redis.heartbeats import mixed_releases
from workers.redis.models_in_use import ModelInUse
from workers.redis.redis_clock import off
from workers.redis.servers import RedisServer
from workers.settings.settings import STAGES

NAMED = {
    "inbox": "waiting", "segments": "waiting for segmentation", "in_flight": "in progress",
    "acknowledged": "dead, acknowledged",
}  # fmt: skip
REASONS = 5  # codes of errors that are named
DAMAGED = 5


def view_of(found: Overview) -> RenderableType:
    """The tables, without what is wrong."""
    return Group(_counts(found.counts), Text(), _stages(found.stages), Text(), _lines(found))


def warnings(found: Overview) -> Iterator[str]:
    """What is wrong, a line of markup each."""
    for one in found.outages:
        since = "" if one.since is None else f" for {found.at - one.since:.0f} s"
        waiting = "" if one.waiting is None else f"; {one.waiting:,} objects are waiting"
        yield f"[red]{clean(one.name)} is unavailable{since}[/]{waiting}: {clean(one.reason)}"
    if found.counts.get("dead"):
        yield f"[red]{_objects(found.counts['dead'])} given up[/]: `wildtag dead list` says why"
    if count := found.skipped_captions:
        skipped = f"{count:,} caption{'' if count == 1 else 's'} skipped"
        yield f"[yellow]{skipped}[/], since extraction fails for them: `wildtag captions skipped` says why"
    for line in off(note.clock for note in found.processes):
        yield f"[yellow]{clean(line)}[/]"
    for risk in found.risks:
        yield f"[yellow]{clean(risk)}[/]"
    yield from _loss(found)
    yield from _upgrade(found)
    if found.coverage is not None and found.coverage.incomplete is not None:
        yield f"[yellow]{clean(found.coverage.incomplete)}[/]"
    for hold in found.held:
        yield f"[yellow]{clean(hold.summary)}[/]"
    if found.damaged:
        shown = ", ".join(found.damaged[:DAMAGED]) + (" …" if len(found.damaged) > DAMAGED else "")
        number = f"{len(found.damaged):,} damaged record{'' if len(found.damaged) == 1 else 's'}"
        yield f"[yellow]{number}[/], tagged again after the next comparison: {clean(shown)}"


def _loss(found: Overview) -> Iterator[str]:
    if found.lost is not None:
        known = "; `wildtag status --acknowledge-loss` acknowledges it"
        if found.lost.acknowledged_at is not None:
            known = f"; acknowledged {local_time(found.lost.acknowledged_at)}"
        yield f"[yellow]{clean(str(found.lost))}[/] ({local_time(found.lost.at)}{known})"
    if found.refilling is not None:
        yield (
            f"[yellow]Records are incomplete:[/] Redis was empty {found.at - found.refilling:.0f} s ago, and the"
            " bucket was not compared completely since"
        )


def _upgrade(found: Overview) -> Iterator[str]:
    """Whether several releases run, another encoder is prepared, or a drain is in force."""
    if (mixed := mixed_releases(found.processes)) is not None:
        yield f"[yellow]{clean(mixed)}[/]"
    if (change := found.encoder_change) is not None:
        yield (
            f"[yellow]{clean(str(change['encoder']))} is being prepared:[/] {change['prepared']:,} images."
            " `wildtag encoder status` shows what is missing, `wildtag encoder resume` goes on after a pause"
        )
        yield from feeder_lines(change["feeder"])
    if found.draining is not None:
        since = local_time(found.draining)
        yield f"[yellow]Draining since {since}:[/] images are accepted, and none is tagged until `wildtag undrain`"


def pending_lines(found: Overview) -> Iterator[str]:
    """Some objects in progress."""
    for pending in found.pending:
        fault = f": {pending.fault}" if pending.fault else ""
        attempts = f"{pending.attempts} attempt{'' if pending.attempts == 1 else 's'}"
        yield f"[dim]{clean(f'{pending.oid}  {pending.stage}, {attempts}{fault}')}[/]"


def _counts(counts: Mapping[str, int]) -> Table:
    view = Table(show_header=False, pad_edge=False, box=None)
    for name, count in counts.items():
        if count or name not in {"segments", "acknowledged"}:
            view.add_row(NAMED.get(name, name), f"{count:,}")
    return view


def _stages(stages: Iterable[Stage]) -> Table:
    view = Table("stage", pad_edge=False, box=None)
    for name in ("messages", "objects", "oldest", "last progress", "workers"):
        view.add_column(name, justify="right")
    for one in stages:
        view.add_row(
            one.name, "?" if one.messages is None else f"{one.messages:,}", f"{one.objects:,}",
            "" if one.oldest_s is None else seconds(one.oldest_s),
            "" if one.progress_s is None else f"{seconds(one.progress_s)} ago", workers_of(one),
        )  # fmt: skip
    return view


def workers_of(one: Stage) -> str:
    """How many workers a stage has, in red if it needs one."""
    number = one.processes if one.consumers is None else one.consumers
    return f"{number:,}" if number or one.name not in STAGES else "[red]none[/]"


def _lines(found: Overview) -> Table:
    view = Table(show_header=False, pad_edge=False, box=None)
    if found.depths is not None and found.depths.unacknowledged is not None:
        view.add_row("messages with workers", f"{found.depths.unacknowledged:,}")
    view.add_row("rate", rate_line(found.rate, found.latency))
    view.add_row("failures", clean(failures_line(found.failures, found.totals)))
    others = {name: age for name, age in found.ages.items() if name not in {one.name for one in found.stages}}
    view.add_row("last progress", progress_line(others))
    view.add_row("most frequent tags", ", ".join(f"{escape(label)} {n}" for label, n in found.common) or "–")
    if found.coverage is not None:
        view.add_row("images in the index", found.coverage.count)
    if found.image_index is not None:
        last = found.image_index
        ago = max(0.0, found.at - last.at)
        view.add_row("index last checked", f"{ago:.0f} s ago, with {last.indexed:,} of {last.records:,} images then")
    if found.captions_version is not None:
        view.add_row("captions", clean(found.captions_version))
    for name, described in model_rows(found.models):
        view.add_row(name, escape(described))
    if found.words is not None:
        view.add_row("words ahead", clean(str(found.words)))
    for source, condition in found.sources.items():
        if condition.state != "working":
            since = local_time(condition.since)
            view.add_row(source, clean(f"{condition.state} since {since}: {condition.reason}"))
    for one in found.receivers:
        dead = f", {one.dead_letters:,} dead letters" if one.dead_letters else ""
        view.add_row(f"webhook {clean(one.name)}", clean(f"{state_of(one)}, {one.waiting:,} waiting{dead}"))
    view.add_row("Redis", memory_line(found.memory))
    view.add_row("disk", clean(disk_line(found.disks)))
    return view


def rate_line(rate: Rate, latency: Latency | None) -> str:
    """Objects a second, and how long one takes."""
    line = f"{rate.per_second:,.1f} objects/s in the last {seconds(rate.seconds)}"
    if latency is None:
        return line
    return f"{line}; from acceptance to record p50 {seconds(latency.p50)}, p95 {seconds(latency.p95)}"


def failures_line(failures: Failures, totals: Mapping[str, int]) -> str:
    """What failed lately and so far, by error code."""
    lately = f"{failures.count:,} of {failures.finished:,} in the last {seconds(failures.seconds)}"
    return f"{lately}{_reasons(failures.reasons)}; so far {sum(totals.values()):,}{_reasons(totals)}"


def _reasons(counts: Mapping[str, int]) -> str:
    shown = [f"{code or 'unknown'} {count:,}" for code, count in list(counts.items())[:REASONS]]
    more = " …" if len(counts) > REASONS else ""
    return f" ({', '.join(shown)}{more})" if shown else ""


def memory_line(servers: Iterable[RedisServer]) -> str:
    """Memory of each server, and of how much."""
    shown = []
    for one in servers:
        of = f" of {decimal(one.limit)}" if one.limit else ", without a limit"
        shown.append(f"{decimal(one.used)}{of}" + (f", {one.evicted:,} keys evicted" if one.evicted else ""))
    return "; ".join(shown) or "memory unknown"


def disk_line(disks: Iterable[Disk]) -> str:
    """Free space on this machine."""
    return "; ".join(f"{one.folder} {decimal(one.free)} of {decimal(one.size)} free" for one in disks) or "–"


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


def seconds(value: float) -> str:
    """A duration, as short as it is precise: ``0.25 s``, ``42 s``, ``3 min``, ``2.5 h``."""
    if value < 10:
        return f"{value:.2g} s" if value < 1 else f"{value:.1f} s"
    if value < 180:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 3 * 3600 else f"{value / 3600:.1f} h"


def _objects(number: int) -> str:
    return f"{number:,} object{'' if number == 1 else 's'}"
