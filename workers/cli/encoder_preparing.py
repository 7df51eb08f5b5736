"""Runs the second pipeline, which prepares another encoder, for ``wildtag encoder``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from vectordb.errors import Permanent
from workers.cli.console import clean, console, messages
from workers.cli.encoder_progress import PreparationProgress, captions_progress

if TYPE_CHECKING:
    from workers.dispatch.preparation import Compared
    from workers.redis.encoders import ChosenEncoder
    from workers.wiring.wiring import Wiring


def change_of(now: Wiring) -> ChosenEncoder:
    """The encoder that prepares. Raises ``Permanent`` if there is none."""
    change = now.encoders.change()
    if change is None:
        raise Permanent("no other encoder is being prepared: run `wildtag encoder begin NAME` first")
    return change


def prepare(
    now: Wiring, rate: float | None, *, says: bool = True, gently: bool = True, keep_refused: bool = False
) -> Compared:
    """Run the second pipeline until everything is prepared; returns the last comparison."""
    from workers.cli.first_start import tune_encoder  # noqa: PLC0415 -- keeps the command line quick
    from workers.embedded.second_pipeline import second_pipeline  # noqa: PLC0415 -- as above
    from workers.wiring import encoder_change  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    change = change_of(now)
    settings = encoder_change.next_settings(now.settings, change)
    next_ = Wiring(settings)
    try:
        tune_encoder(settings)
        encoder_change.encode_captions(now, next_, captions_progress())
        progress = PreparationProgress(next_, says=says)
        by = encoder_change.preparation(now, next_, change.space, rate, progress)
        by.prepare()
        behind = by.unfinished() or encoder_change.follows_captions(next_)
        if not gently and not behind and not by.run(submit=False, keep_refused=keep_refused).missing:
            return by.run(gently=False, keep_refused=keep_refused)
        with second_pipeline(settings, lambda event: messages.print(f"[dim]{escape(str(event))}[/]")) as supervisor:
            progress.watch = supervisor.watch
            found = by.complete(gently=gently, keep_refused=keep_refused)
            by.settle(lambda: not encoder_change.follows_captions(next_))
            by.settle(encoder_change.indexed(next_))
    except KeyboardInterrupt:
        messages.print("Paused. `wildtag encoder resume` goes on; the encoder in use serves.")
        raise typer.Exit(130) from None
    if says:
        console.print(
            f"{clean(change.encoder)} has prepared {found.prepared:,} of {found.images:,} images."
            " To put it into use: wildtag encoder switch", soft_wrap=True,
        )  # fmt: skip
        if found.refused:
            messages.print(f"[yellow]{clean(refusal_of(found))}[/]", soft_wrap=True)
        if found.kept:
            messages.print(
                f"[yellow]{found.kept:,} images with segments are not prepared.[/] They keep their records at the"
                " switch, and only their tags find them until they are tagged again.", soft_wrap=True,
            )  # fmt: skip
    return found


def refusal_of(found: Compared) -> str:
    """Why a switch would need ``--force``."""
    names = ", ".join(sorted(found.refused)[:5]) + (" …" if len(found.refused) > 5 else "")
    return (
        f"the new encoder has no tags for {len(found.refused):,} images: {names}. With --force they keep the record"
        " that they have"
    )


def segmented(now: Wiring) -> list[Any]:
    """An event for each image that has segments, to tag it again."""
    from tasks.message_parts import place_of  # noqa: PLC0415 -- keeps the command line quick
    from workers.lifecycle.event import ObjectEvent  # noqa: PLC0415 -- as above
    from workers.wiring.encoder_change import side  # noqa: PLC0415 -- as above

    heads = side(now).records
    oids = [f"{now.settings.bucket}/{key}" for key in heads.keys(now.settings.bucket)]
    found = zip(oids, heads.heads.of(oids), strict=True)
    return [ObjectEvent("created", *place_of(oid), force=True) for oid, head in found if head and head.segment]
