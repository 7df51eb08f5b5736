"""``wildtag encoder …``: change the encoder while the stack serves with the one before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import msgspec
import typer
from rich.markup import escape

from vectordb.errors import Permanent
from workers.cli import encoder_elsewhere
from workers.cli.connection import connected
from workers.cli.console import clean, console, messages
from workers.cli.encoder_preparing import change_of, prepare, refusal_of, segmented
from workers.cli.encoder_state import state_lines, state_of
from workers.cli.panels import OPERATE
from workers.cli.results import Json
from workers.settings.method import MethodSettings

if TYPE_CHECKING:
    from workers.dispatch.encoder_switch import EncoderSwitch
    from workers.dispatch.preparation import Compared
    from workers.redis.encoders import ChosenEncoder
    from workers.wiring.wiring import Wiring

TRIES = 10  # of the switch: images may be finished, or labels said, between the comparison and the switch
DRAIN_S = 600.0
FEED_RATE = 20.0  # records a second that are added to the feed after a switch
SAID_S = 1.0  # for which Redis answers nothing, from which that is said
RUNTIMES: tuple[str, ...] = get_args(MethodSettings.model_fields["runtime"].annotation)

app = typer.Typer(no_args_is_help=True, help="Change the encoder while the stack serves with the one before.")
Rate = Annotated[float | None, typer.Option(min=0.01, help="Images a second at most. Default: as fast as it goes.")]


@app.command()
def begin(
    name: Annotated[str, typer.Argument(help="Encoder; `wildtag models` lists some.")],
    runtime: Annotated[str, typer.Option(help="As WILDTAG_RUNTIME.")] = "auto",
    rate: Rate = None,
) -> None:
    """Prepare another encoder: encode the captions, then tag all images with it, at low priority.

    Searches and tags stay those of the encoder in use until `wildtag encoder switch`. Ctrl-C pauses. With
    WILDTAG_REDIS_URL it only says which processes prepare it, and they go on until the switch.
    """
    from tasks.encoders import BUNDLED  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.encoder_change import (  # noqa: PLC0415 -- as above
        drop_space,
        encoder_switch,
        require_possible,
        started_elsewhere,
    )
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    now = connected()
    require_possible(now.settings)
    if runtime not in RUNTIMES:
        raise Permanent(f"unknown runtime {runtime}; choose from {', '.join(RUNTIMES)}")
    if name != BUNDLED and Path(name).is_dir():  # the processes, and the stack of tomorrow, are in other folders
        name = str(Path(name).resolve())
    # not checked as a whole: an encoder that was in use before may be wanted again
    space = Wiring(now.settings.model_copy(update={"encoder": name, "runtime": runtime})).space.id
    if space == now.space.id:
        raise Permanent(f"{name} is the encoder in use")
    encoder_switch(now).blocked_s()  # refused before the work is done
    if started_elsewhere():
        encoder_elsewhere.begin(now, name, runtime, space, rate)
        return
    with _alone(now):
        if now.encoders.change() is None:  # what an interrupted switch or abort has left, and what was once indexed
            encoder_switch(now).clear()
            drop_space(now.settings, space, captions=False)
        now.encoders.begin(name, runtime, space, now.space.id, had_captions=bool(now.library.manifests(space)))
        prepare(now, rate)


@app.command()
def resume(rate: Rate = None) -> None:
    """Go on with the preparation after a pause. With WILDTAG_REDIS_URL: at another rate."""
    from workers.wiring.encoder_change import started_elsewhere  # noqa: PLC0415 -- keeps the command line quick

    now = connected()
    if started_elsewhere():
        encoder_elsewhere.resume(now, change_of(now), rate)
        return
    with _alone(now):
        prepare(now, rate)


@app.command()
def run(
    process: Annotated[str, typer.Argument(help="worker, dispatcher or feeder: one of each prepares an encoder.")],
) -> None:
    """Run a process that prepares the encoder of `begin`, for Compose, Kubernetes and systemd. It waits for one.

    Needs WILDTAG_REDIS_URL and a Qdrant server. The embedded stack has no use for it.
    """
    from workers.cli.connection import process_settings  # noqa: PLC0415 -- keeps the command line quick
    from workers.processes.next_encoder import PROCESSES, run_next  # noqa: PLC0415 -- as above
    from workers.wiring.encoder_change import started_elsewhere  # noqa: PLC0415 -- as above

    if process not in PROCESSES:
        raise typer.BadParameter(f"unknown process {process}; choose from {', '.join(PROCESSES)}")
    if not started_elsewhere():
        raise Permanent(
            "WILDTAG_REDIS_URL is not set: in an embedded home `wildtag encoder begin` runs the processes"
        )
    run_next(process_settings(), process)


@app.command()
def status(json: Json = False) -> None:
    """Show the encoder in use, and how far the other one has prepared."""
    now = connected()
    body = state_of(now)
    if json:
        console.out(msgspec.json.encode(body).decode(), highlight=False)
        return
    for line in state_lines(body):
        console.print(line, soft_wrap=True)


@app.command()
def switch(
    force: Annotated[
        bool, typer.Option("--force", help="Also if images are refused: they keep the record that they have.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for images in progress.")] = DRAIN_S,
    feed_rate: Annotated[
        float,
        typer.Option(min=0, max=400, help="Records a second that are added to the feed afterwards, for side files,"
                     " webhooks and other readers. 0: none."),
    ] = FEED_RATE,
) -> None:  # fmt: skip
    """Put the prepared encoder into use: records, searches and captions change at the same moment.

    What is new since the preparation is prepared first. Images are accepted meanwhile, and wait for some seconds.
    """
    now = connected()
    with _alone(now):
        _switch(now, change_of(now), timeout, feed_rate, force=force)


@app.command()
def abort() -> None:
    """Stop preparing, and remove all that was prepared. The encoder in use stays."""
    from workers.embedded.second_pipeline import remove_files  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.encoder_change import encoder_switch  # noqa: PLC0415 -- as above

    now = connected()
    with _alone(now):
        if now.encoders.change() is None and (count := encoder_switch(now).clear()):
            remove_files(now.settings.home)
            console.print(f"Removed what an interrupted command had left: {count:,} keys.")
            return
        change = change_of(now)
        now.encoders.forget()
        encoder_elsewhere.ended(now, change)
        count = encoder_switch(now).clear()
        freed = encoder_elsewhere.dropped(now, change.space, captions=not change.had_captions)
        remove_files(now.settings.home)
    console.print(f"Removed what {clean(change.encoder)} had prepared: {count:,} keys, {freed / 1e6:.0f} MB.")


@app.command()
def drop(space: Annotated[str, typer.Argument(help="A vector space, as `wildtag captions list` shows it.")]) -> None:
    """Free the captions, the index of images and the words of a space that is not in use any more."""
    now = connected()
    change = now.encoders.change()
    if space == now.space.id or (change is not None and change.space == space):
        raise Permanent(f"the space {space} is in use; `wildtag encoder status` shows it")
    if not now.library.manifests(space) and space not in {one for one, _ in now.library.unfinished()}:
        raise Permanent(f"there are no captions of a space {space}")
    console.print(f"Freed {encoder_elsewhere.dropped(now, space, captions=True) / 1e6:.0f} MB.")


@contextmanager
def _alone(now: Wiring) -> Iterator[None]:
    """Keep other commands that change the encoder out. Raises ``Permanent`` if one is running."""
    from workers.embedded.second_pipeline import alone  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.encoder_change import started_elsewhere  # noqa: PLC0415 -- as above

    with encoder_elsewhere.held(now) if started_elsewhere() else alone(now.settings.home):
        yield


def _prepared(now: Wiring, *, gently: bool = True, keep_refused: bool = False) -> Compared:
    from workers.wiring.encoder_change import started_elsewhere  # noqa: PLC0415 -- keeps the command line quick

    if started_elsewhere():
        return encoder_elsewhere.prepare(now, change_of(now), gently=gently, keep_refused=keep_refused)
    return prepare(now, None, says=False, gently=gently, keep_refused=keep_refused)


def _switch(now: Wiring, change: ChosenEncoder, timeout: float, feed_rate: float, *, force: bool) -> None:
    from workers.cli.drain import drained  # noqa: PLC0415 -- keeps the command line quick
    from workers.redis.maintenance_lock import alone  # noqa: PLC0415 -- as above
    from workers.wiring.encoder_change import (  # noqa: PLC0415 -- as above
        encoder_switch,
        note_in_home,
        started_elsewhere,
    )

    switcher = encoder_switch(now)
    if (blocked_s := switcher.blocked_s()) >= SAID_S:
        messages.print(f"[yellow]At the switch Redis answers nothing for about {blocked_s:.0f} s.[/]")
    _prepared(now)
    drained_before = now.drain.read() is not None  # by an operator, who ends it
    try:
        if not drained(now, timeout, stays=drained_before):
            raise Permanent("images in progress were not finished in time, so the encoder was not switched")
        with alone(now.redis, now.keys, "encoder switch", messages.print):  # a backup would be of both encoders
            found, moved = _switched(now, change, switcher, feed_rate, force=force)
        in_use = now.encoders.in_use()
        if in_use is not None and not started_elsewhere():
            note_in_home(now.settings, in_use)
    finally:
        if not drained_before:
            now.drain.end()
    encoder_elsewhere.ended(now, change)
    switcher.clear()
    console.print(f"{clean(change.encoder)} is in use: {moved:,} records were replaced.")
    if feed_rate:
        console.print(
            f"The feed, webhooks and side files learn of them at {feed_rate:g} a second, in about"
            f" {moved / feed_rate / 60:.0f} minutes.", soft_wrap=True,
        )  # fmt: skip
    else:
        console.print(
            "The feed, webhooks and side files do not learn of them: `wildtag retag --all` does that.", soft_wrap=True
        )
    if started_elsewhere():
        console.print(
            f"Set WILDTAG_ENCODER={clean(change.encoder)} in the settings before the next start, and stop the"
            " processes that have prepared it.", soft_wrap=True,
        )  # fmt: skip
    if drained_before:
        console.print("The stack is drained as it was before: `wildtag undrain` goes on.")
    if found.kept:
        console.print(f"{found.kept:,} images with segments are tagged again now, and keep their records until then.")
    console.print(
        f"To free the space of the encoder before: wildtag encoder drop {clean(change.before)}", soft_wrap=True
    )


def _switched(
    now: Wiring, change: ChosenEncoder, switcher: EncoderSwitch, feed_rate: float, *, force: bool
) -> tuple[Compared, int]:
    """Compare and switch until nothing has happened in between. Returns what was found, and the records replaced."""
    from workers.dispatch.encoder_switch import NotQuiet  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.encoder_change import captions_are_level, next_settings  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    next_ = Wiring(next_settings(now.settings, change))
    before = now.encoders.in_use()
    replaced = (*(before.replaced if before else ()), now.settings.encoder)
    for _ in range(TRIES):
        state = switcher.state()
        found = _prepared(now, gently=False, keep_refused=force)
        if found.refused and not force:
            raise Permanent(refusal_of(found))
        if not captions_are_level(now, next_):
            messages.print("[dim]the encoder was not switched: captions were taught[/]")
            continue
        if found.kept:  # while nothing is handed out, so that a kill after the switch forgets none
            now.low_priority_inbox.append(segmented(now), mark=True)
        try:
            before_it = tuple(dict.fromkeys(replaced))
            return found, switcher.switch(change, before_it, state, now.clock(), feed_rate)
        except NotQuiet as exc:
            messages.print(f"[dim]{escape(str(exc))}[/]")
    raise Permanent("images were changed again and again, so the encoder was not switched: try again")


def add_to(parent: typer.Typer) -> None:
    """Register the group."""
    parent.add_typer(app, name="encoder", rich_help_panel=OPERATE)
