"""One run: acts and faults by the plan, then rest, then the comparison."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import redis

from ops.chaos.album import Album
from ops.chaos.attack import attack
from ops.chaos.faults import FAULTS, LOSING
from ops.chaos.home_files import leaked_files, leaked_temporary, owners
from ops.chaos.leaks import left_files, unequipped, until_gone
from ops.chaos.people import PATIENCE_S, People
from ops.chaos.places import Conditions, scene
from ops.chaos.plan import BY_API, Act, Plan, Strike
from ops.chaos.receiver import receiving
from ops.chaos.redis_faults import RedisFlushed
from ops.chaos.redis_process import until
from ops.chaos.truth import Truth
from ops.chaos.verdict import SWEPT_S, Done, Verdict, artifacts, compare
from ops.chaos.watching import Struck, Watch
from ops.chaos.world import World
from vectordb.errors import Permanent, WildtagError
from workers.redis.connection import translated
from workers.wiring.operations import coverage
from workers.wiring.wiring import Wiring

REST_S = 900.0  # in which everything has to be settled
_LOOK_S = 0.2
_STILL = 5  # looks in a row, a second apart, at which nothing is on its way
_PEOPLE_S = PATIENCE_S + 60  # for the last call of people
_LEAK_S = 30.0  # after the end of the stack


def run(plan: Plan, where: Conditions, say: Callable[[str], None]) -> dict[str, Any]:
    """Carry the plan out. Returns what is printed. Raises ``Permanent`` if the system does not start."""
    faults = {strike.fault for strike in plan.strikes}
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving(plan.seed, where.webhooks_fail))
        made = scene(where, plan.seed, receiver.settings(), clocks="clock-jumps" in faults,
                     snapshots="snapshot-restored" in faults)  # fmt: skip
        found = stack.enter_context(made)
        here = found.world
        say(f"up in {here.home}")
        wiring = here.wiring()
        album = Album(found.shelf)
        people = People(album, lambda: here.gateway, here.key, found.switches, lambda: _redis_ms(wiring),
                        here.bucket)  # fmt: skip
        watch = Watch(here.wiring())
        watch.start()
        attacker = stack.enter_context(attack(here, plan.seed, watch.healthy)) if where.attack else None
        begin = time.monotonic()
        doing = _started(partial(_acts, plan, people.act, watch, begin, by_api=True))
        striking = _started(partial(_strikes, plan, here, album, watch, begin, say))
        _acts(plan, album.act, watch, begin, by_api=False)
        striking.join()
        say("the last fault is over; waiting for the last acts")
        doing.join(_PEOPLE_S)
        say(f"{plan.seconds:.0f} s of faults are over; waiting for rest")
        receiver.fail_no_more()
        if attacker is not None:
            attacker.stop()
        rested = _rest(here, watch)
        people.ended.set()
        found.switches.ended.set()
        lossy = any(strike.fault in LOSING for strike in plan.strikes)
        truth = Truth(found.undisturbed, found.switches.lessons)
        verdict = compare(Done(here, album, people, receiver, found.switches, truth, lossy, where.attack))
        for violation in attacker.violations if attacker is not None else ():
            verdict.add("wrong", f"attack: {violation}")
        watch.close()
        known = owners(wiring.settings, found.switches.known(), here.noted()["pids"])
        here.stop()
        for process in until_gone(here.home, _LEAK_S):
            verdict.add("leaked", f"the process {process} outlives the stack")
        for leak in (*leaked_files(here.home, known), *leaked_temporary(found.temporary)):
            verdict.add("leaked", leak)
        for file in left_files(here.home):
            verdict.add("leaked", f"the file {file} is not finished")
        for log in unequipped(here.home):
            verdict.add("wrong", f"a process lacks the credentials of the store: see {log}")
        return {
            **_report(plan, album, people, watch.struck, verdict, rested), "deliveries_repeated": receiver.repeated,
            "notifications": dict(found.notifications.counts) if found.notifications is not None else {},
            "captions_taught": sum(one.done is not None for one in found.switches.lessons),
            "failovers": here.losses, "attack": attacker.counts() if attacker is not None else None,
        }  # fmt: skip


def _started(what: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=what, daemon=True)
    thread.start()
    return thread


def _acts(plan: Plan, do: Callable[[Act], Iterable[str]], watch: Watch, begin: float, *, by_api: bool) -> None:
    """Carry out the acts of one kind, one after the other."""
    for act in plan.acts:
        if (act.what in BY_API) == by_api:
            _until(begin + act.at)
            try:
                watch.changed(*do(act))
            except Exception as exc:
                print(f"the act {act} failed: {exc!r}", file=sys.stderr)
                raise


def _redis_ms(wiring: Wiring) -> int:
    """The clock of Redis in ms, when it answers again."""
    while True:
        with suppress(redis.RedisError):
            seconds, micros = wiring.redis.time()
            return int(seconds) * 1000 + int(micros) // 1000
        time.sleep(_LOOK_S)


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
    watch.striking = True
    try:
        fault.begin()
        time.sleep(strike.lasts)
    finally:
        fault.mend()
        watch.striking = False
    if fault.loses:
        here.lost_at.append((began - fault.loses_s, time.monotonic()))
        if isinstance(fault, RedisFlushed):
            here.wiped_at.append(time.monotonic())
        watch.changed(*album.there())
    watch.mended(strike.fault, fault.victim, began)
    say(f"{strike.fault} {fault.victim} for {time.monotonic() - began:.1f} s; {watch.unsettled()} unsettled")


def _rest(here: World, watch: Watch) -> float:
    """Wait until nothing is on its way. Returns the seconds that it took, at most ``REST_S``."""
    wiring, still, swept = here.wiring(), 0, 0.0

    def strays() -> bool:
        """Whether artifacts wait for the comparison of the bucket, which may have images segmented again."""
        nonlocal swept
        named, stored = artifacts(wiring)
        swept = swept or time.monotonic() + SWEPT_S
        return bool(stored - named.keys()) and time.monotonic() < swept

    def quiet() -> bool:
        nonlocal still
        counts = wiring.records.counts()
        covered = coverage(wiring).read()
        busy = sum(counts[name] for name in ("inbox", "segments", "in_flight"))
        owed = sum(one.waiting for one in wiring.receivers.standing())
        with translated():
            following = int(wiring.redis.zcard(wiring.keys.follows))
        waiting = wiring.backlog.waiting() + wiring.low_priority_inbox.length() + following
        resting = not (busy or owed or waiting or watch.unsettled() or covered.incomplete or strays())
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


def _report(
    plan: Plan, album: Album, people: People, struck: list[Struck], verdict: Verdict, rested: float
) -> dict[str, Any]:
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
        "states": verdict.states, "uploads_refused": len(people.refused), "retags": len(people.retagged),
        "statements": len(people.said), "segmented": len(people.segmented),
        "findings": {kind: len(found) for kind, found in verdict.findings.items()},
        "examples": {kind: found[:20] for kind, found in verdict.findings.items() if found},
        "recovery": faults, "recovery_worst_s": worst and round(worst, 1),
        "rest_s": round(rested, 1), "good": verdict.good and worst is not None,
    }  # fmt: skip


def _middle(values: list[float]) -> float | None:
    return round(sorted(values)[len(values) // 2], 1) if values else None


def _until(when: float) -> None:
    time.sleep(max(0.0, when - time.monotonic()))
