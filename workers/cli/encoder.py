"""``wildtag encoder …``: change the encoder while the stack serves with the one before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import msgspec
import typer
from rich.markup import escape

from vectordb.errors import Permanent
from workers.cli.connection import connected
from workers.cli.console import clean, console, messages
from workers.cli.encoder_preparing import change_of, prepare, refusal_of, segmented
from workers.cli.panels import OPERATE
from workers.cli.results import Json
from workers.lifecycle.times import rfc3339
from workers.settings.method import MethodSettings

if TYPE_CHECKING:
    from workers.dispatch.encoder_switch import EncoderSwitch
    from workers.dispatch.preparation import Compared
    from workers.redis.encoders import ChosenEncoder
    from workers.wiring.wiring import Wiring

TRIES = 10  # of the switch: images may be finished, or labels said, between the comparison and the switch
DRAIN_S = 600.0
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

    Searches and tags stay those of the encoder in use until `wildtag encoder switch`. Ctrl-C pauses.
    """
    from tasks.encoders import BUNDLED  # noqa: PLC0415 -- keeps the command line quick
    from workers.embedded.second_pipeline import alone  # noqa: PLC0415 -- as above
    from workers.wiring.encoder_change import (  # noqa: PLC0415 -- as above
        drop_space,
        encoder_switch,
        require_possible,
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
    with alone(now.settings.home):
        if now.encoders.change() is None:  # what an interrupted switch or abort has left, and what was once indexed
            encoder_switch(now).clear()
            drop_space(now.settings, space, captions=False)
        now.encoders.begin(name, runtime, space, now.space.id, had_captions=bool(now.library.manifests(space)))
        prepare(now, rate)


@app.command()
def resume(rate: Rate = None) -> None:
    """Go on with the preparation after a pause."""
    from workers.embedded.second_pipeline import alone  # noqa: PLC0415 -- keeps the command line quick

    now = connected()
    with alone(now.settings.home):
        prepare(now, rate)


@app.command()
def status(json: Json = False) -> None:
    """Show the encoder in use, and how far the other one has prepared."""
    now = connected()
    body = state_of(now)
    if json:
        console.out(msgspec.json.encode(body).decode(), highlight=False)
        return
    console.print(f"In use: {clean(str(body['encoder']))} (space {clean(str(body['space']))})")
    change: Any = body["change"]
    if change is None:
        console.print("No other encoder is being prepared.")
        return
    console.print(
        f"{clean(change['encoder'])} (space {clean(change['space'])}) has prepared {change['prepared']:,} of"
        f" {change['images']:,} images since {change['since']}; {change['missing']:,} are missing,"
        f" {len(change['refused']):,} refused", soft_wrap=True,
    )  # fmt: skip


@app.command()
def switch(
    force: Annotated[
        bool, typer.Option("--force", help="Also if images are refused: they keep the record that they have.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for images in progress.")] = DRAIN_S,
) -> None:
    """Put the prepared encoder into use: records, searches and captions change at the same moment.

    What is new since the preparation is prepared first. Images are accepted meanwhile, and wait for some seconds.
    """
    from workers.embedded.second_pipeline import alone  # noqa: PLC0415 -- keeps the command line quick

    now = connected()
    with alone(now.settings.home):
        _switch(now, change_of(now), timeout, force=force)


@app.command()
def abort() -> None:
    """Stop preparing, and remove all that was prepared. The encoder in use stays."""
    from workers.embedded.second_pipeline import alone, remove_files  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.encoder_change import drop_space, encoder_switch  # noqa: PLC0415 -- as above

    now = connected()
    with alone(now.settings.home):
        if now.encoders.change() is None and (count := encoder_switch(now).clear()):
            remove_files(now.settings.home)
            console.print(f"Removed what an interrupted command had left: {count:,} keys.")
            return
        change = change_of(now)
        now.encoders.forget()
        count = encoder_switch(now).clear()
        freed = drop_space(now.settings, change.space, captions=not change.had_captions)
        remove_files(now.settings.home)
    console.print(f"Removed what {clean(change.encoder)} had prepared: {count:,} keys, {freed / 1e6:.0f} MB.")


@app.command()
def drop(space: Annotated[str, typer.Argument(help="A vector space, as `wildtag captions list` shows it.")]) -> None:
    """Free the captions, the index of images and the words of a space that is not in use any more."""
    from workers.wiring.encoder_change import drop_space  # noqa: PLC0415 -- keeps the command line quick

    now = connected()
    change = now.encoders.change()
    if space == now.space.id or (change is not None and change.space == space):
        raise Permanent(f"the space {space} is in use; `wildtag encoder status` shows it")
    if not now.library.manifests(space):
        raise Permanent(f"there are no captions of a space {space}")
    console.print(f"Freed {drop_space(now.settings, space) / 1e6:.0f} MB.")


def state_of(now: Wiring) -> dict[str, object]:
    """The encoder in use, and how far another one has prepared, as JSON values."""
    from workers.wiring.encoder_change import next_settings, preparation  # noqa: PLC0415 -- keeps the command quick
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    body: dict[str, object] = {"encoder": now.settings.encoder, "space": now.space.id, "change": None}
    if (change := now.encoders.change()) is not None:
        next_ = Wiring(next_settings(now.settings, change))
        found = preparation(now, next_, change.space).run(submit=False)
        body["change"] = {
            "encoder": change.encoder, "space": change.space, "since": rfc3339(change.since), "images": found.images,
            "prepared": found.prepared, "missing": found.missing, "refused": sorted(found.refused),
        }  # fmt: skip
    return body


def _switch(now: Wiring, change: ChosenEncoder, timeout: float, *, force: bool) -> None:
    from workers.cli.drain import drained  # noqa: PLC0415 -- keeps the command line quick
    from workers.redis.maintenance_lock import alone  # noqa: PLC0415 -- as above
    from workers.wiring.encoder_change import encoder_switch, note_in_home  # noqa: PLC0415 -- as above

    switcher = encoder_switch(now)
    if (blocked_s := switcher.blocked_s()) >= SAID_S:
        messages.print(f"[yellow]At the switch Redis answers nothing for about {blocked_s:.0f} s.[/]")
    prepare(now, None, says=False)
    drained_before = now.drain.read() is not None  # by an operator, who ends it
    try:
        if not drained(now, timeout, stays=drained_before):
            raise Permanent("images in progress were not finished in time, so the encoder was not switched")
        with alone(now.redis, now.keys, "encoder switch", messages.print):  # a backup would be of both encoders
            found, moved = _switched(now, change, switcher, force=force)
        in_use = now.encoders.in_use()
        if in_use is not None:
            note_in_home(now.settings, in_use)
    finally:
        if not drained_before:
            now.drain.end()
    switcher.clear()
    console.print(f"{clean(change.encoder)} is in use: {moved:,} records were replaced.")
    if drained_before:
        console.print("The stack is drained as it was before: `wildtag undrain` goes on.")
    if found.kept:
        console.print(f"{found.kept:,} images with segments are tagged again now, and keep their records until then.")
    console.print(
        f"To free the space of the encoder before: wildtag encoder drop {clean(change.before)}", soft_wrap=True
    )


def _switched(now: Wiring, change: ChosenEncoder, switcher: EncoderSwitch, *, force: bool) -> tuple[Compared, int]:
    """Compare and switch until nothing has happened in between. Returns what was found, and the records replaced."""
    from workers.dispatch.encoder_switch import NotQuiet  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.encoder_change import captions_are_level, next_settings  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    next_ = Wiring(next_settings(now.settings, change))
    before = now.encoders.in_use()
    replaced = (*(before.replaced if before else ()), now.settings.encoder)
    for _ in range(TRIES):
        state = switcher.state()
        found = prepare(now, None, says=False, gently=False, keep_refused=force)
        if found.refused and not force:
            raise Permanent(refusal_of(found))
        if not captions_are_level(now, next_):
            messages.print("[dim]the encoder was not switched: captions were taught[/]")
            continue
        if found.kept:  # while nothing is handed out, so that a kill after the switch forgets none
            now.low_priority_inbox.append(segmented(now), mark=True)
        try:
            return found, switcher.switch(change, tuple(dict.fromkeys(replaced)), state, now.clock())
        except NotQuiet as exc:
            messages.print(f"[dim]{escape(str(exc))}[/]")
    raise Permanent("images were changed again and again, so the encoder was not switched: try again")


def add_to(parent: typer.Typer) -> None:
    """Register the group."""
    parent.add_typer(app, name="encoder", rich_help_panel=OPERATE)
