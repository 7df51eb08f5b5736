"""``notifier`` and ``webhooks``: deliver what happens to receivers, and inspect deliveries."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table

from workers.cli.connection import connected, home_settings, process_settings
from workers.cli.console import Footnotes, clean, console, messages
from workers.cli.local_time import local_time
from workers.cli.panels import OPERATE, RUN
from workers.cli.results import Json
from workers.cli.webhook_receivers import add_receiver_commands
from workers.lifecycle.times import public

if TYPE_CHECKING:
    from workers.notifying.dead_letters import DeadLetter, DeadLetters

app = typer.Typer(no_args_is_help=True, help="Inspect, pause and test receivers of webhooks, and replay deliveries.")
add_receiver_commands(app)

PAGE = 500

Only = Annotated[str | None, typer.Option("--receiver", help="Only of this receiver.")]


def notifier(
    from_beginning: Annotated[
        bool, typer.Option(help="Send new receivers also what the feed has stored before they were added.")
    ] = False,
) -> None:
    """Run the notifier, which delivers events to all receivers. New ones begin with now."""
    from workers.processes.notifier import run_notifier  # noqa: PLC0415 -- keeps the command line quick

    settings = process_settings()
    run_notifier(settings.model_copy(update={"notify_from_beginning": True}) if from_beginning else settings)


@app.command()
def dead(
    json: Json = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of deliveries.")] = None,
    receiver: Only = None,
) -> None:
    """List dead deliveries (all attempts failed), newest first, with the reason."""
    view = Table("id", "when", "receiver", "event", "of", "attempts", "reason", pad_edge=False, box=None)
    letters = list(islice(_all(connected().dead_letters, receiver), limit))
    notes = Footnotes((letter.reason for letter in letters), "deliveries")
    for letter in letters:
        if json:
            console.out(msgspec.json.encode(public(letter)).decode(), highlight=False)
            continue
        when = local_time(letter.died_at)
        view.add_row(
            letter.id, when, clean(letter.receiver), letter.type, clean(letter.subject), str(letter.attempts),
            notes.cell(letter.reason),
        )  # fmt: skip
    if view.row_count:
        console.print(view)
        notes.print()
    elif not json:
        messages.print("There are no dead deliveries.")


@app.command()
def replay(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of deliveries, as `wildtag webhooks dead` shows them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead deliveries.")] = False,
    receiver: Only = None,
) -> None:
    """Send dead deliveries again: some, all, or all of one receiver."""
    if bool(ids) == (everything or receiver is not None):
        raise typer.BadParameter("give ids of deliveries, or --all, or --receiver")
    letters = connected().dead_letters
    # listed first, to leave out deliveries that die again in the meantime
    wanted = ids or [letter.id for letter in _all(letters, receiver)]
    missing = [letter for letter in wanted if not letters.replay(letter)]
    messages.print(f"{len(wanted) - len(missing):,} of {len(wanted):,} deliveries queued")
    if missing and ids:
        messages.print(f"[red]No such dead delivery:[/] {clean(', '.join(missing))}")
        raise typer.Exit(1)


@app.command()
def counts(json: Json = False, receiver: Only = None) -> None:
    """Count waiting deliveries, and attempts by outcome, of all receivers together or of one.

    lost: dropped from the feed before they were read.
    """
    from workers.notifying.outbox import OUTCOMES  # noqa: PLC0415 -- keeps the command line quick

    standing = connected().receivers.standing()
    if receiver is not None and all(one.name != receiver for one in standing):
        messages.print(f"[red]There is no receiver {clean(receiver)}.[/] See `wildtag webhooks list`.")
        raise typer.Exit(1)
    found = Counter(dict.fromkeys(("waiting", *OUTCOMES), 0))
    for one in standing:
        if receiver in {None, one.name}:
            found.update({name: getattr(one, name) for name in found})
    if json:
        console.out(msgspec.json.encode(found).decode(), highlight=False)
        return
    view = Table(show_header=False, pad_edge=False, box=None)
    for name, count in found.items():
        view.add_row(name, f"{count:,}")
    console.print(view)


@app.command("test")
def try_out(
    receiver: Annotated[str | None, typer.Argument(help="Name of a receiver. Default: all.")] = None,
    json: Json = False,
) -> None:
    """Send receivers one signed delivery of type webhook.test and print the response.

    Exit status 1 unless all are 2xx. JSON: one line for each receiver.
    """
    from workers.notifying.delivery import trial  # noqa: PLC0415 -- keeps the command line quick
    from workers.settings.webhook_receivers import chosen, receivers_of  # noqa: PLC0415 -- as above
    from workers.wiring.notifying import poster as poster_of  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    settings = home_settings()
    receivers = chosen(receivers_of(settings), receiver)
    accepted = True
    for one in receivers:
        delivery = trial(secrets.token_hex(8), time.time())
        with poster_of(Wiring(settings), one) as poster:
            began = time.monotonic()
            answer = poster.post(delivery).result()
            took = round(time.monotonic() - began, 3)
        accepted = accepted and answer.taken
        if json:
            body = {
                "receiver": one.name, "delivery": delivery.id, "taken": answer.taken, "status": answer.status,
                "said": answer.detail, "seconds": took,
            }  # fmt: skip
            console.out(msgspec.json.encode(body).decode(), highlight=False)
        else:
            name = f"{one.name}: " if len(receivers) > 1 else ""
            console.print(f"{name}{delivery.id}: {clean(str(answer))} ({took:.2f} s)", soft_wrap=True)
    if not accepted:
        raise typer.Exit(1)


def _all(letters: DeadLetters, receiver: str | None) -> Iterator[DeadLetter]:
    after = None
    while page := letters.list(PAGE, after, receiver):
        yield from page
        after = page[-1].id


def add_to(app_: typer.Typer) -> None:
    """Register this module's commands."""
    app_.command(rich_help_panel=RUN)(notifier)
    app_.add_typer(app, name="webhooks", rich_help_panel=OPERATE)
