"""``wildtag encoder …`` where somebody else starts the processes: Compose, Kubernetes, systemd, or a person."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vectordb.errors import Permanent
from workers.cli.console import clean, console, messages
from workers.cli.encoder_progress import PreparationProgress, captions_progress
from workers.lifecycle.times import rfc3339

if TYPE_CHECKING:
    from workers.dispatch.preparation import Compared
    from workers.redis.encoders import ChosenEncoder
    from workers.wiring.wiring import Wiring

COMPOSE = "docker compose --profile next-encoder up --detach"
KUBERNETES = "kubectl apply --kustomize OVERLAY    (with components/next-encoder)"
BY_HAND = ("wildtag encoder run worker", "wildtag encoder run dispatcher", "wildtag encoder run feeder")
CONTAINERS = [Path("/.dockerenv"), Path("/run/.containerenv")]  # of Docker, of Podman
ENDING_S = 20.0  # that the processes have to notice that their encoder prepares no more
LOOK_EVERY_S = 0.2
BUILDING_S = 90.0  # until the claim of a builder that was killed expires, and some more
SILENT_S = 30.0  # without a heartbeat of the dispatcher
ANSWER_S = 30.0  # for an idle worker to answer a probe; longer while it loads its models


@contextmanager
def held(now: Wiring) -> Iterator[None]:
    """Keep other commands that change the encoder out, and the feeder from submitting images.

    Raises ``Permanent`` if one is running.
    """
    from workers.redis.maintenance_lock import alone  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.encoder_change import LOCK  # noqa: PLC0415 -- as above

    with alone(now.redis, now.keys, "encoder", lambda line: messages.print(f"[dim]{line}[/]"), lock=LOCK):
        yield


def start_lines() -> list[str]:
    """The commands that start the processes of the other encoder, where this one seems to run."""
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return [KUBERNETES]
    if any(file.exists() for file in CONTAINERS):
        return [COMPOSE]
    return list(BY_HAND)


def say_start() -> None:
    """Say how the processes of the other encoder are started."""
    console.print("Its processes prepare it. Start them, unless they run:")
    for line in start_lines():
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    console.print("`wildtag encoder status` shows how far they are.")


def begin(now: Wiring, name: str, runtime: str, space: str, rate: float | None) -> None:
    """Note which encoder is prepared, and say what prepares it."""
    from workers.wiring import encoder_change  # noqa: PLC0415 -- keeps the command line quick

    with held(now):
        if now.encoders.change() is None:  # what an interrupted command has left, and what was once indexed
            encoder_change.encoder_switch(now).clear()
            encoder_change.drop_space(now.settings, space, captions=False)
            encoder_change.restored_already(now)
        had_captions = bool(now.library.manifests(space))
        change = now.encoders.begin(name, runtime, space, now.space.id, had_captions=had_captions, rate=rate)
        now.encoders.pace(change, rate)
    console.print(f"{name} is to be prepared.", markup=False, soft_wrap=True)
    say_start()


def resume(now: Wiring, change: ChosenEncoder, rate: float | None) -> None:
    """Change the rate of the feeder, and say what prepares."""
    with held(now):
        now.encoders.pace(change, rate)
    limit = "as fast as it goes" if rate is None else f"at most {rate:g} images a second"
    console.print(f"{change.encoder} is prepared {limit}.", markup=False, soft_wrap=True)
    if now.encoders.feeder() is None:
        say_start()


def feeder_of(now: Wiring) -> dict[str, object] | None:
    """What the feeder does, as JSON values; ``None`` in an embedded home, or if none has said anything lately."""
    from workers.wiring.encoder_change import started_elsewhere  # noqa: PLC0415 -- keeps the command line quick

    if not started_elsewhere():
        return None
    note = now.encoders.feeder()
    if note is None:
        return {"doing": "nothing", "fault": f"no feeder runs. {_advice()}"}
    left_s = None if note.left_s is None else round(note.left_s)
    return {
        "doing": note.doing, "done": note.done, "total": note.total, "at": rfc3339(note.at),
        "rate": None if note.rate is None else round(note.rate, 2), "left_s": left_s, "fault": note.fault,
    }  # fmt: skip


def feeder_lines(feeder: dict[str, Any] | None) -> Iterator[str]:
    """The same, for people."""
    if feeder is None:
        return
    if feeder["doing"] == "nothing":
        yield f"[yellow]{clean(feeder['fault'])}[/]"
        return
    rate = f"; {feeder['rate']:.1f} images a second" if feeder["rate"] else ""
    left = f", about {feeder['left_s']:.0f} s left" if feeder["left_s"] else ""
    fault = f" ({clean(feeder['fault'])})" if feeder["fault"] else ""
    yield f"Feeder: {clean(feeder['doing'])}{fault}, {feeder['done']:,} of {feeder['total']:,}{rate}{left}"


def prepare(now: Wiring, change: ChosenEncoder, *, gently: bool, keep_refused: bool) -> Compared:
    """Have the other pipeline prepare what is missing; returns the last comparison. Call it within ``held``."""
    from workers.wiring import encoder_change  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    next_ = Wiring(encoder_change.next_settings(now.settings, change))
    if next_.library.active(change.space) is None:
        raise Permanent(
            "its captions are not encoded yet, by its feeder: `wildtag encoder status` shows how far it is"
        )
    if not encoder_change.captions_are_level(now, next_):
        _require_pipeline(next_)
        # its worker encodes them: this process may have little memory
        encoder_change.encode_captions(now, next_, captions_progress(), lambda: next_.remote_encoder)
    progress = PreparationProgress(next_, says=True)
    by = encoder_change.preparation(now, next_, change.space, None, progress)
    by.prepare()
    behind = by.unfinished() or encoder_change.follows_captions(next_)
    if not gently and not behind and not by.run(submit=False, keep_refused=keep_refused).missing:
        return by.run(gently=False, keep_refused=keep_refused)
    _require_pipeline(next_)
    progress.watch = lambda: _require_dispatcher(next_)
    found = by.complete(gently=gently, keep_refused=keep_refused)
    by.settle(lambda: not encoder_change.follows_captions(next_))
    by.settle(encoder_change.indexed(next_))
    return found


def ended(now: Wiring, change: ChosenEncoder) -> None:
    """Wait until its processes have noticed that it prepares no more, so that they write nothing any more."""
    from workers.wiring import encoder_change  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    next_ = Wiring(encoder_change.next_settings(now.settings, change))
    until = time.monotonic() + ENDING_S
    while next_.health.processes() and time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)


def dropped(now: Wiring, space: str, *, captions: bool) -> int:
    """Remove a space, once nobody builds its captions any more. Returns the bytes that became free."""
    from vectordb.library import BuildRunning  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.encoder_change import drop_space  # noqa: PLC0415 -- as above

    until = time.monotonic() + BUILDING_S
    while True:
        try:
            return drop_space(now.settings, space, captions=captions)
        except BuildRunning as exc:
            if time.monotonic() > until:
                raise Permanent(f"{exc}. Then free the space: wildtag encoder drop {space}") from exc
            time.sleep(LOOK_EVERY_S)


def _require_pipeline(next_: Wiring) -> None:
    """Raises ``Permanent`` if the processes that prepare do not run."""
    from workers.diagnostics.liveness import State  # noqa: PLC0415 -- keeps the command line quick
    from workers.settings.settings import STAGES  # noqa: PLC0415 -- as above
    from workers.wiring.liveness import liveness_check  # noqa: PLC0415 -- as above

    _require_dispatcher(next_)
    if liveness_check(next_, STAGES[0], fresh=ANSWER_S, patience=ANSWER_S).settled() is State.SILENT:
        raise Permanent(f"the worker of the encoder that prepares does not answer within {ANSWER_S:g} s. {_advice()}")


def _require_dispatcher(next_: Wiring) -> None:
    since = next_.clock() - SILENT_S
    if all(note.at < since for note in next_.health.notes("dispatcher").values()):
        raise Permanent(f"no dispatcher of the encoder that prepares runs. {_advice()}")


def _advice() -> str:
    return f"Start its processes: {', '.join(start_lines())}"
