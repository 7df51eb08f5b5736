"""``status --check``: compares an overview with limits, and says it in one line as monitoring plugins do.

Exit statuses and the line follow the guidelines of the Monitoring Plugins (https://www.monitoring-plugins.org/doc/guidelines.html).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from enum import IntEnum

from workers.cli.status.lines import seconds
from workers.cli.status.overview import Overview
from workers.redis.heartbeats import mixed_releases
from workers.redis.partition_faults import partition_of
from workers.redis.redis_clock import off
from workers.settings.dependencies import NEEDED
from workers.settings.settings import STAGES

LEAST_FAILURES = 5  # a share of fewer says nothing
DISPATCHER = "dispatcher"
OTHERS = frozenset({DISPATCHER, "watcher", "reconcile", "listener", "redis-target", "notifier", "writer"})
"""Processes beside the workers. They send a heartbeat every second, also while they have nothing to do."""


class Level(IntEnum):
    """The exit statuses."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class BadLimits(ValueError):
    """A limit for warnings is behind the one for critical states. The text names both."""


@dataclass(frozen=True)
class Limit:
    """From which values on there is a warning, or the state is critical; ``None``: never.

    ``below``: the values are good ones, of which there may be too little.
    """

    warning: float | None
    critical: float | None
    below: bool = False

    def level(self, value: float) -> Level:
        """What a value means."""
        sign = -1 if self.below else 1
        for level, limit in ((Level.CRITICAL, self.critical), (Level.WARNING, self.warning)):
            if limit is not None and sign * value >= sign * limit:
                return level
        return Level.OK

    def ranges(self, factor: float = 1.0) -> str:
        """The ranges of performance data: ``WARNING;CRITICAL``. ``factor``: by which its value is larger."""
        # a range names the values that are well: 0 to its number, or from its number on
        return ";".join(
            "" if limit is None else f"{_number(limit * factor)}:" if self.below else _number(limit * factor)
            for limit in (self.warning, self.critical)
        )


@dataclass(frozen=True)
class Limits:
    """All limits, with their defaults. ``failures``, ``memory``, ``disk``: shares; ``disk`` is free."""

    oldest: Limit = field(default=Limit(300, 1800))
    progress: Limit = field(default=Limit(180, 600))
    waiting: Limit = field(default=Limit(None, None))
    inbox: Limit = field(default=Limit(900, None))
    dead: Limit = field(default=Limit(1, None))
    dead_letters: Limit = field(default=Limit(1, None))
    failures: Limit = field(default=Limit(0.1, 0.5))
    memory: Limit = field(default=Limit(0.8, 0.95))
    disk: Limit = field(default=Limit(0.1, 0.03, below=True))

    def __post_init__(self) -> None:
        """Raises ``BadLimits``."""
        for one in fields(self):
            limit: Limit = getattr(self, one.name)
            if limit.warning is None or limit.critical is None:
                continue
            if (limit.warning < limit.critical) if limit.below else (limit.warning > limit.critical):
                name = one.name.replace("_", "-")
                raise BadLimits(f"--warning-{name} is {_number(limit.warning)}, behind --critical-{name}")


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    level: Level
    reason: str


def findings(found: Overview, limits: Limits) -> list[Finding]:
    """What is wrong, the worst first."""
    every = [*_services(found), *(() if found.away else _state(found, limits)), *_disks(found, limits)]
    return sorted((one for one in every if one.level is not Level.OK), key=lambda one: -one.level)


def line(found: Overview, limits: Limits) -> tuple[Level, str]:
    """The exit status and the line for it, with performance data."""
    wrong = findings(found, limits)
    level = max((one.level for one in wrong), default=Level.OK)
    text = "; ".join(_plain(one.reason) for one in wrong) or _well(found)
    data = " ".join(performance(found, limits))
    return level, f"{level.name} - {text}" + (f" | {data}" if data else "")


def failed(level: Level, reason: str) -> str:
    """The line if nothing could be read."""
    return f"{level.name} - {_plain(reason)}"


def _services(found: Overview) -> Iterator[Finding]:
    for one in found.outages:
        needed = one.name in NEEDED or partition_of(one.name) is not None
        yield Finding(Level.CRITICAL if needed else Level.WARNING, f"{one.name} is unavailable: {one.reason}")


def _disks(found: Overview, limits: Limits) -> Iterator[Finding]:
    for one in found.disks:
        share = one.free / one.size if one.size else 1.0
        yield Finding(limits.disk.level(share), f"{share:.0%} of the disk with {one.path} is free")


def _state(found: Overview, limits: Limits) -> Iterator[Finding]:
    yield from _stages(found, limits)
    if all(one.name != DISPATCHER for one in found.processes):
        yield Finding(Level.CRITICAL, "no dispatcher runs")
    for name, age in found.ages.items():
        if name in OTHERS:
            yield Finding(limits.progress.level(age), f"{name} has made no progress for {seconds(age)}")
    yield from _objects(found, limits)
    yield from _memory(found, limits)
    yield from _around(found)
    letters = sum(receiver.dead_letters for receiver in found.receivers)
    yield Finding(limits.dead_letters.level(letters), f"{letters:,} dead deliveries, see `wildtag webhooks dead`")


def _objects(found: Overview, limits: Limits) -> Iterator[Finding]:
    dead, waiting = found.counts.get("dead", 0), found.counts.get("inbox", 0)
    yield Finding(limits.dead.level(dead), f"{dead:,} dead, see `wildtag dead list`")
    yield Finding(limits.waiting.level(waiting), f"{waiting:,} objects wait")
    if found.inbox_oldest_s is not None:
        level = limits.inbox.level(found.inbox_oldest_s)
        yield Finding(level, f"events have waited for the dispatcher for {seconds(found.inbox_oldest_s)}")
    lately = found.failures
    if lately.count >= LEAST_FAILURES:
        reasons = ", ".join(f"{code} {count:,}" for code, count in list(lately.reasons.items())[:3])
        yield Finding(
            limits.failures.level(lately.share),
            f"{lately.count:,} of {lately.finished:,} failed in the last {seconds(lately.seconds)} ({reasons})",
        )
    if found.damaged:
        number = len(found.damaged)
        yield Finding(Level.WARNING, f"{number:,} damaged record{'' if number == 1 else 's'}")
    if found.lost is not None and found.lost.acknowledged_at is None:
        ago = seconds(found.at - found.lost.at)
        yield Finding(Level.WARNING, f"{found.lost} ({ago} ago); acknowledge: `wildtag status --acknowledge-loss`")
    if found.refilling is not None:
        yield Finding(Level.WARNING, "records are made again, because Redis was empty")


def _memory(found: Overview, limits: Limits) -> Iterator[Finding]:
    for risk in found.risks:
        yield Finding(Level.WARNING, risk)
    for one in found.memory:
        if one.share is not None:
            yield Finding(limits.memory.level(one.share), f"{one.share:.0%} of the memory of Redis is used")
        if one.evicted:
            yield Finding(Level.WARNING, f"Redis has evicted {one.evicted:,} keys: set maxmemory-policy noeviction")


def _around(found: Overview) -> Iterator[Finding]:
    """Of what is around the stages."""
    for hold in found.held:
        yield Finding(Level.WARNING, f"removals of {hold.missing:,} objects in {hold.bucket} are held")
    for name, condition in found.sources.items():
        if condition.state != "working":
            yield Finding(Level.WARNING, f"event source {name} is {condition.state}: {condition.reason}")
    for receiver in found.receivers:
        if receiver.failing_since is not None:
            yield Finding(Level.WARNING, f"webhook receiver {receiver.name} fails since {receiver.failing_since}")
        if not receiver.served:
            yield Finding(Level.WARNING, f"no notifier runs for the webhook receiver {receiver.name}")
    if found.draining is not None:
        yield Finding(Level.WARNING, f"draining for {seconds(found.at - found.draining)}, and nothing is tagged")
    if (mixed := mixed_releases(found.processes)) is not None:
        yield Finding(Level.WARNING, mixed)
    for clock in off(note.clock for note in found.processes):
        yield Finding(Level.WARNING, clock.partition(";")[0])


def _stages(found: Overview, limits: Limits) -> Iterator[Finding]:
    for one in found.stages:
        if one.name in STAGES and not (one.processes if one.consumers is None else one.consumers):
            yield Finding(Level.CRITICAL, f"no worker for {one.name}")
        if one.oldest_s is not None:
            yield Finding(
                limits.oldest.level(one.oldest_s),
                f"{one.objects:,} objects in {one.name}, the oldest since {seconds(one.oldest_s)}",
            )
        if one.progress_s is not None and (one.objects or one.messages) and one.name in STAGES:
            yield Finding(
                limits.progress.level(one.progress_s),
                f"{one.name} has made no progress for {seconds(one.progress_s)}",
            )


def _well(found: Overview) -> str:
    counts = found.counts
    on_its_way = f"{counts.get('in_flight', 0):,} in progress, {counts.get('inbox', 0):,} waiting"
    return f"{on_its_way}, {counts.get('done', 0):,} done, {found.rate.per_second:.1f} objects/s"


def performance(found: Overview, limits: Limits) -> Iterator[str]:
    """Performance data: ``NAME=VALUE[UNIT];WARNING;CRITICAL;LEAST;MOST``."""
    if not found.away:
        counts = found.counts
        yield f"oldest={_number(found.oldest_s or 0)}s;{limits.oldest.ranges()};0"
        yield f"waiting={counts.get('inbox', 0)};{limits.waiting.ranges()};0"
        yield f"inbox_oldest={_number(found.inbox_oldest_s or 0)}s;{limits.inbox.ranges()};0"
        yield f"in_progress={counts.get('in_flight', 0)};;;0"
        yield f"done={counts.get('done', 0)};;;0"
        yield f"failed={counts.get('failed', 0)};;;0"
        yield f"dead={counts.get('dead', 0)};{limits.dead.ranges()};0"
        letters = sum(receiver.dead_letters for receiver in found.receivers)
        yield f"dead_letters={letters};{limits.dead_letters.ranges()};0"
        yield f"failures={_number(100 * found.failures.share)}%;{limits.failures.ranges(100)};0;100"
        yield f"rate={_number(found.rate.per_second)};;;0"
        if found.latency is not None:
            yield f"p95={_number(found.latency.p95)}s;;;0"
        for stage in found.stages:
            yield f"{stage.name}_objects={stage.objects};;;0"
        for number, one in enumerate(found.memory):
            most = str(one.limit) if one.limit else ""
            ranges = limits.memory.ranges(one.limit) if one.limit else ";"
            yield f"redis{number or ''}_memory={one.used}B;{ranges};0;{most}"
    for disk in found.disks:
        yield f"{disk.folder}_free={disk.free}B;{limits.disk.ranges(disk.size)};0;{disk.size}"


def _number(value: float) -> str:
    """As few characters as say it; no exponent, which readers of performance data do not know."""
    if not math.isfinite(value):
        return "U"  # not known
    return f"{value:.0f}" if value >= 1e6 else f"{value:.3f}".rstrip("0").rstrip(".")


def _plain(reason: str) -> str:
    """One line without the character that begins the performance data, and without control characters."""
    one = " ".join(reason.replace("|", "/").split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in one)
