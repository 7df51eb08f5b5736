"""``wildtag encoder …``: change the encoder while the stack serves with the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, get_args

import msgspec
import typer
from rich.markup import escape

from vectordb.errors import Permanent
from workers.cli.connection import connected
from workers.cli.console import clean, console, messages
from workers.cli.encoder_progress import PreparationProgress, captions_progress
from workers.cli.panels import OPERATE
from workers.cli.results import Json
from workers.lifecycle.times import rfc3339
from workers.settings.method import MethodSettings

if TYPE_CHECKING:
    from workers.dispatch.preparation import Compared
    from workers.redis.encoders import ChosenEncoder
    from workers.wiring.wiring import Wiring

TRIES = 10  # of the switch: images may be finished, or labels said, between the comparison and the switch
DRAIN_S = 600.0
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
    from workers.wiring.encoder_change import require_possible  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    now = connected()
    require_possible(now.settings)
    if runtime not in RUNTIMES:
        raise Permanent(f"unknown runtime {runtime}; choose from {', '.join(RUNTIMES)}")
    # not checked as a whole: an encoder that was in use before may be wanted again
    space = Wiring(now.settings.model_copy(update={"encoder": name, "runtime": runtime})).space.id
    if space == now.space.id:
        raise Permanent(f"{name} is the encoder in use")
    now.encoders.begin(name, runtime, space, now.space.id)
    _prepare(now, rate)


@app.command()
def resume(rate: Rate = None) -> None:
    """Go on with the preparation after a pause."""
    _prepare(connected(), rate)


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
    from workers.cli.drain import drained  # noqa: PLC0415 -- keeps the command line quick
    from workers.dispatch.encoder_switch import NotQuiet  # noqa: PLC0415 -- as above
    from workers.wiring.encoder_change import encoder_switch, note_in_home  # noqa: PLC0415 -- as above

    now = connected()
    change = _change(now)
    _prepare(now, None, says=False)
    if not drained(now, timeout):
        now.drain.end()
        raise Permanent("images in progress were not finished in time, so the encoder was not switched")
    try:
        switcher = encoder_switch(now)
        for _ in range(TRIES):
            state = switcher.state()
            found = _prepare(now, None, says=False, gently=False, keep_refused=force)
            if found.refused and not force:
                raise Permanent(_refused(found))
            before = now.encoders.in_use()
            replaced = (*(before.replaced if before else ()), now.settings.encoder)
            try:
                moved = switcher.switch(change, tuple(dict.fromkeys(replaced)), state, now.clock())
                break
            except NotQuiet as exc:
                messages.print(f"[dim]{escape(str(exc))}[/]")
        else:
            raise Permanent("images were changed again and again, so the encoder was not switched: try again")
        in_use = now.encoders.in_use()
        if in_use is not None:
            note_in_home(now.settings, in_use)
    finally:
        now.drain.end()
    switcher.clear()
    console.print(f"{clean(change.encoder)} is in use: {moved:,} records were replaced.")
    if found.kept:
        now.low_priority_inbox.append(_segmented(now), mark=True)
        console.print(f"{found.kept:,} images with segments are tagged again now, and keep their records until then.")
    console.print(f"To free the space of the encoder before: wildtag encoder drop {clean(change.before)}")


@app.command()
def abort() -> None:
    """Stop preparing, and remove all that was prepared. The encoder in use stays."""
    from workers.wiring.encoder_change import drop_space, encoder_switch  # noqa: PLC0415 -- keeps the command quick

    now = connected()
    change = _change(now)
    _not_running(now)
    now.encoders.forget()
    count = encoder_switch(now).clear()
    freed = drop_space(now.settings, change.space)
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
        found = preparation(now, next_, None).run(submit=False)
        body["change"] = {
            "encoder": change.encoder, "space": change.space, "since": rfc3339(change.since), "images": found.images,
            "prepared": found.prepared, "missing": found.missing, "refused": sorted(found.refused),
        }  # fmt: skip
    return body


def _change(now: Wiring) -> ChosenEncoder:
    change = now.encoders.change()
    if change is None:
        raise Permanent("no other encoder is being prepared: run `wildtag encoder begin NAME` first")
    return change


def _prepare(
    now: Wiring, rate: float | None, *, says: bool = True, gently: bool = True, keep_refused: bool = False
) -> Compared:
    """Run the second pipeline until everything is prepared; returns the last comparison."""
    from workers.cli.first_start import tune_encoder  # noqa: PLC0415 -- keeps the command line quick
    from workers.embedded.second_pipeline import second_pipeline  # noqa: PLC0415 -- as above
    from workers.wiring import encoder_change  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    change = _change(now)
    _not_running(now)
    settings = encoder_change.next_settings(now.settings, change)
    next_ = Wiring(settings)
    tune_encoder(settings)
    encoder_change.encode_captions(now, next_, captions_progress())
    progress = PreparationProgress(next_, says=says)
    by = encoder_change.preparation(now, next_, rate, progress)
    by.prepare()
    if not gently and not by.run(submit=False, keep_refused=keep_refused).missing and not by.unfinished():
        return by.run(gently=False, keep_refused=keep_refused)
    try:
        with second_pipeline(settings, lambda event: messages.print(f"[dim]{escape(str(event))}[/]")) as supervisor:
            progress.watch = supervisor.watch
            found = by.complete(gently=gently, keep_refused=keep_refused)
            by.settle(_indexed(next_))
    except KeyboardInterrupt:
        messages.print("Paused. `wildtag encoder resume` goes on; the encoder in use serves.")
        raise typer.Exit(130) from None
    if says:
        console.print(
            f"{clean(change.encoder)} has prepared {found.prepared:,} of {found.images:,} images."
            " To put it into use: wildtag encoder switch", soft_wrap=True,
        )  # fmt: skip
        if found.refused:
            messages.print(f"[yellow]{clean(_refused(found))}[/]", soft_wrap=True)
    return found


def _indexed(next_: Wiring) -> Any:
    """Returns whether the index of images has followed the records."""
    from workers.redis.connection import text  # noqa: PLC0415 -- keeps the command line quick

    redis: Any = next_.redis

    def indexed() -> bool:
        position = text(redis.get(next_.keys.images_position) or b"0-0")
        return position == next_.records.feed_end() and not next_.publisher.queued("retrieval")

    return indexed


def _refused(found: Compared) -> str:
    names = ", ".join(sorted(found.refused)[:5]) + (" …" if len(found.refused) > 5 else "")
    return (
        f"the new encoder has no tags for {len(found.refused):,} images: {names}. With --force they keep the record"
        " that they have"
    )


def _segmented(now: Wiring) -> list[Any]:
    from tasks.message_parts import place_of  # noqa: PLC0415 -- keeps the command line quick
    from workers.lifecycle.event import ObjectEvent  # noqa: PLC0415 -- as above
    from workers.wiring.encoder_change import side  # noqa: PLC0415 -- as above

    heads = side(now).records
    oids = [f"{now.settings.bucket}/{key}" for key in heads.keys(now.settings.bucket)]
    found = zip(oids, heads.heads.of(oids), strict=True)
    return [ObjectEvent("created", *place_of(oid), force=True) for oid, head in found if head and head.segment]


def _not_running(now: Wiring) -> None:
    from workers.embedded.second_pipeline import FOLDER  # noqa: PLC0415 -- keeps the command line quick
    from workers.supervision.home import supervisor_of  # noqa: PLC0415 -- as above

    if supervisor_of(now.settings.home / FOLDER) is not None:
        raise Permanent("the preparation runs in another terminal: wait until it ends, or end it with Ctrl-C")


def add_to(parent: typer.Typer) -> None:
    """Register the group."""
    parent.add_typer(app, name="encoder", rich_help_panel=OPERATE)
