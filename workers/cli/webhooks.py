"""``notifier`` and ``webhooks``: deliver finished objects to a receiver, and inspect deliveries."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table

from workers.cli.connection import connected
from workers.cli.console import Footnotes, clean, console, messages
from workers.cli.panels import OPERATE, RUN
from workers.cli.results import Json
from workers.lifecycle.times import public
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from workers.notifying.dead_letters import DeadLetter, DeadLetters

app = typer.Typer(no_args_is_help=True, help="Inspect, replay and test deliveries to WILDTAG_NOTIFY_URL.")

PAGE = 500


def notifier() -> None:
    """Run the notifier, which delivers every finished object to WILDTAG_NOTIFY_URL."""
    from workers.embedded.stack import reached  # noqa: PLC0415 -- as above
    from workers.processes.notifier import run_notifier  # noqa: PLC0415 -- keeps the command line quick

    run_notifier(reached(Settings()))


@app.command()
def dead(
    json: Json = False, limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of deliveries.")] = None
) -> None:
    """List dead deliveries (all attempts failed), newest first, with the reason."""
    view = Table("id", "when", "object", "attempts", "reason", pad_edge=False, box=None)
    letters = list(islice(_all(connected().dead_letters), limit))
    notes = Footnotes((letter.reason for letter in letters), "deliveries")
    for letter in letters:
        if json:
            console.out(msgspec.json.encode(public(letter)).decode(), highlight=False)
            continue
        when = datetime.fromtimestamp(letter.died_at, UTC).astimezone().isoformat(" ", "seconds")
        what = clean(f"{letter.bucket}/{letter.key}")
        view.add_row(letter.id, when, what, str(letter.attempts), notes.cell(letter.reason))
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
) -> None:
    """Send dead deliveries again."""
    if bool(ids) == everything:
        raise typer.BadParameter("give ids of deliveries, or --all")
    letters = connected().dead_letters
    # listed first, to leave out deliveries that die again in the meantime
    wanted = ids or [letter.id for letter in _all(letters)]
    missing = [letter for letter in wanted if not letters.replay(letter)]
    messages.print(f"{len(wanted) - len(missing):,} of {len(wanted):,} deliveries queued")
    if missing and ids:
        messages.print(f"[red]No such dead delivery:[/] {clean(', '.join(missing))}")
        raise typer.Exit(1)


@app.command()
def counts(json: Json = False) -> None:
    """Count waiting deliveries, and attempts by outcome. lost: dropped from the feed before they were read."""
    found = connected().outbox.counts()
    if json:
        console.out(msgspec.json.encode(found).decode(), highlight=False)
        return
    view = Table(show_header=False, pad_edge=False, box=None)
    for name, count in found.items():
        view.add_row(name, f"{count:,}")
    console.print(view)


@app.command("test")
def try_out(json: Json = False) -> None:
    """Send one signed delivery of type webhook.test and print the response. Exit status 1 unless it is 2xx."""
    from workers.notifying.delivery import trial  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.notifying import poster as poster_of  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    delivery = trial(secrets.token_hex(8), time.time())
    began = time.monotonic()
    with poster_of(Wiring(Settings())) as poster:
        answer = poster.post(delivery).result()
    took = round(time.monotonic() - began, 3)
    if json:
        body = {
            "delivery": delivery.id, "taken": answer.taken, "status": answer.status, "said": answer.detail,
            "seconds": took,
        }  # fmt: skip
        console.out(msgspec.json.encode(body).decode(), highlight=False)
    else:
        console.print(f"{delivery.id}: {clean(str(answer))} ({took:.2f} s)", soft_wrap=True)
    if not answer.taken:
        raise typer.Exit(1)


def _all(letters: DeadLetters) -> Iterator[DeadLetter]:
    after = None
    while page := letters.list(PAGE, after):
        yield from page
        after = page[-1].id


def add_to(app_: typer.Typer) -> None:
    """Register this module's commands."""
    app_.command(rich_help_panel=RUN)(notifier)
    app_.add_typer(app, name="webhooks", rich_help_panel=OPERATE)
