"""``webhooks list``, ``pause``, ``resume``, ``rename``, ``forget``: the receivers of webhooks and how they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from vectordb.errors import Permanent
from workers.cli.connection import connected
from workers.cli.console import clean, console, messages
from workers.cli.local_time import local_time
from workers.cli.results import Json

if TYPE_CHECKING:
    from workers.notifying.receivers import Standing
    from workers.settings.settings import Settings
    from workers.settings.webhook_receivers import Receiver

Name = Annotated[str, typer.Argument(help="Name of the receiver, as `wildtag webhooks list` shows it.")]


def listed(json: Json = False) -> None:
    """List the receivers: what waits for each, what was delivered, since when it fails, and its last answer.

    Also those that are not configured any more and of which something is left. JSON: one line for each receiver.
    """
    from workers.notifying.receivers import not_served  # noqa: PLC0415 -- keeps the command line quick

    wiring = connected()
    standing = wiring.receivers.standing()
    known = {one.name for one in standing}
    configured = {one.name: one for one in _configured(wiring.settings)}
    standing += [not_served(one.name, one.place, one.kinds) for name, one in configured.items() if name not in known]
    if json:
        for one in standing:
            console.out(msgspec.json.encode(one).decode(), highlight=False)
        return
    if not standing:
        messages.print(
            "There are no receivers. Set WILDTAG_NOTIFY_URL and WILDTAG_NOTIFY_SECRET, or WILDTAG_NOTIFY_FILE."
        )
    for one in standing:
        console.print(f"[bold]{clean(one.name)}[/]  {clean(one.place)}", soft_wrap=True, highlight=False)
        for line in _lines(one):
            console.print(f"  {clean(line)}", soft_wrap=True, highlight=False)
    for one in standing:
        if not one.served and configured and one.name not in configured:
            messages.print(
                f"[yellow]{clean(one.name)} is not configured any more.[/] Drop what is left with `wildtag webhooks"
                f" forget {clean(one.name)}`, or go on under another name with `wildtag webhooks rename"
                f" {clean(one.name)} NEW`.",
                soft_wrap=True,
            )


def _lines(one: Standing) -> Iterator[str]:
    """What is shown of a receiver, below its name."""
    yield state_of(one)
    if one.last_at is not None:
        held = f"; waits until {local_time(one.held_until)}, as it asked" if one.held_until else ""
        yield f"last answer {local_time(one.last_at)}: {one.last_answer}{held}"
    unread = f", {one.unread:,} to be read" if one.unread else ""
    yield (
        f"{one.waiting:,} waiting{unread}, {one.delivered:,} delivered, {one.dead_letters:,} dead letters,"
        f" {one.lost:,} lost"
    )
    yield f"gets {', '.join(one.events)}"


def state_of(one: Standing) -> str:
    """What a receiver does, in words."""
    if one.paused_since is not None:
        return f"paused since {local_time(one.paused_since)}"
    if not one.served:
        return "no notifier runs"
    if one.failing_since is not None:
        return f"failing since {local_time(one.failing_since)}"
    return "working"


def _configured(settings: Settings) -> Iterable[Receiver]:
    """The receivers of the stack and of this environment. That of the notifier may be another one."""
    from workers.settings.webhook_receivers import receivers_of  # noqa: PLC0415 -- keeps the command line quick

    try:
        return receivers_of(settings)
    except Permanent as exc:
        messages.print(f"[yellow]{clean(str(exc))}[/]", soft_wrap=True)
        return []


def pause(receiver: Name) -> None:
    """Send nothing to a receiver until `wildtag webhooks resume`. Its deliveries wait; others are not affected."""
    connected().receivers.pause(receiver)
    messages.print(f"{clean(receiver)} is paused. What happens meanwhile waits.")


def resume(receiver: Name) -> None:
    """Go on sending to a paused receiver."""
    was = connected().receivers.resume(receiver)
    messages.print(f"{clean(receiver)} {'goes on' if was else 'was not paused'}.")


def rename(
    receiver: Name, new: Annotated[str, typer.Argument(help="The new name, as in the file of receivers.")]
) -> None:
    """Give a receiver another name: it goes on where it was. Stop the notifier before, and change the file."""
    connected().receivers.rename(receiver, new)
    messages.print(f"{clean(receiver)} is {clean(new)} now.")


def forget(
    receiver: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Drop what is left of a receiver that is not configured any more: deliveries, dead letters, counts, position.

    If it is added again, it begins anew.
    """
    receivers = connected().receivers
    found = [one for one in receivers.standing() if one.name == receiver]
    if found and not yes:
        one = found[0]
        typer.confirm(
            f"Drop {one.waiting:,} waiting deliveries and {one.dead_letters:,} dead letters of {one.name}?",
            abort=True,
        )
    waited = receivers.forget(receiver)
    messages.print(f"{clean(receiver)} is forgotten; {waited:,} deliveries that waited were dropped.")


def add_receiver_commands(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("list")(listed)
    for command in (pause, resume, rename, forget):
        app.command()(command)
