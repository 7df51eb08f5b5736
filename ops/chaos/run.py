"""One run: acts and faults by the plan, then rest, then the comparison."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.chaos.album import Album
from ops.chaos.faults import FAULTS, LOSING
from ops.chaos.plan import Plan, Strike
from ops.chaos.receiver import receiving
from ops.chaos.verdict import Verdict, compare
from ops.chaos.watching import Struck, Watch
from ops.chaos.world import World, until, world
from vectordb.errors import Permanent, WildtagError
from workers.wiring.operations import coverage

REST_S = 200.0  # in which everything has to be settled
_STILL = 5  # looks in a row, a second apart, at which nothing is on its way


@dataclass(frozen=True)
class Conditions:
    """Where a plan is carried out.

    ``prepared``: a home whose captions and caches are copied. ``bucket``: ``folder`` or ``s3``. ``disk``: the size of
    a disk of the home's own in MB. ``webhooks_fail``: share of deliveries that are refused.
    """

    prepared: Path | None = None
    bucket: str = "folder"
    disk: int | None = None
    webhooks_fail: float = 0.2


def run(plan: Plan, where: Conditions, say: Callable[[str], None]) -> dict[str, Any]:
    """Carry the plan out. Returns what is printed. Raises ``Permanent`` if the system never comes to rest."""
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving(plan.seed, where.webhooks_fail))
        here, shelf = stack.enter_context(world(where.prepared, receiver.settings(), where.bucket, where.disk))
        say(f"up in {here.home}")
        album = Album(shelf, here.gateway)
        watch = Watch(here.wiring())
        watch.start()
        begin = time.monotonic()
        striking = threading.Thread(target=_strikes, args=(plan, here, album, watch, begin, say), daemon=True)
        striking.start()
        for act in plan.acts:
            _until(begin + act.at)
            before = dict(album.expected)
            if album.act(act) is not None:
                watch.changed(*(key for key, _ in before.items() ^ album.expected.items()))
        striking.join()
        say(f"{plan.seconds:.0f} s of faults are over; waiting for rest")
        rested = _rest(here, watch)
        lossy = any(strike.fault in LOSING for strike in plan.strikes)
        verdict = compare(here, album, receiver, lossy=lossy)
        watch.close()
        return {**_report(plan, album, watch.struck, verdict, rested), "deliveries_repeated": receiver.repeated}


def _strikes(plan: Plan, here: World, album: Album, watch: Watch, begin: float, say: Callable[[str], None]) -> None:
    for strike in plan.strikes:
        _until(begin + strike.at)
        try:
            _strike(strike, here, album, watch, say)
        except Exception as exc:
            print(f"the fault {strike.fault} failed: {exc!r}", file=sys.stderr)
            watch.mended(f"{strike.fault} (failed)", "", time.monotonic())


def _strike(strike: Strike, here: World, album: Album, watch: Watch, say: Callable[[str], None]) -> None:
    fault = FAULTS[strike.fault](here, strike.chance)
    began = time.monotonic()
    try:
        fault.begin()
        time.sleep(strike.lasts)
    finally:
        fault.mend()
    if fault.loses:
        watch.changed(*list(album.expected))
    watch.mended(strike.fault, fault.victim, began)
    say(f"{strike.fault} {fault.victim} for {time.monotonic() - began:.1f} s; {watch.unsettled()} unsettled")


def _rest(here: World, watch: Watch) -> float:
    """Wait until nothing is on its way. Returns the seconds that it took."""
    wiring, still = here.wiring(), 0

    def quiet() -> bool:
        nonlocal still
        counts = wiring.records.counts()
        covered = coverage(wiring).read()
        busy = sum(counts[name] for name in ("inbox", "segments", "in_flight"))
        owed = sum(one.waiting for one in wiring.receivers.standing())
        resting = not (busy or owed or watch.unsettled() or covered.incomplete)
        still = still + 1 if resting else 0
        if resting:
            time.sleep(1)
        return still >= _STILL

    def said() -> str:
        state = ""
        with suppress(WildtagError):
            state = f"{wiring.records.counts()}, {coverage(wiring).read()}, {watch.unsettled()} unsettled"
        return f"no rest after {REST_S:g} s: {state}\n{here.said()}"

    try:
        return until(quiet, REST_S, said, (WildtagError,))
    except Permanent as exc:
        print(exc, file=sys.stderr)
        return REST_S


def _report(plan: Plan, album: Album, struck: list[Struck], verdict: Verdict, rested: float) -> dict[str, Any]:
    recoveries: dict[str, list[float | None]] = {}
    for one in struck:
        recoveries.setdefault(one.name, []).append(one.recovery_s)
    faults = {
        name: {
            "count": len(found), "p50_s": _middle([one for one in found if one is not None]),
            "worst_s": None if None in found else round(max(one for one in found if one is not None), 1),
        }
        for name, found in sorted(recoveries.items())
    }  # fmt: skip
    last = [one.recovery_s for one in struck]
    worst = None if None in last else max((one for one in last if one is not None), default=0.0)
    return {
        "seed": plan.seed, "objects": len(plan.acts), "in_bucket": len(album.expected), "faults": len(struck),
        "states": verdict.states, "uploads_refused": len(album.refused),
        "findings": {kind: len(found) for kind, found in verdict.findings.items()},
        "examples": {kind: found[:20] for kind, found in verdict.findings.items() if found},
        "recovery": faults, "recovery_worst_s": worst and round(worst, 1),
        "rest_s": round(rested, 1), "good": verdict.good and worst is not None,
    }  # fmt: skip


def _middle(values: list[float]) -> float | None:
    return round(sorted(values)[len(values) // 2], 1) if values else None


def _until(when: float) -> None:
    time.sleep(max(0.0, when - time.monotonic()))
