"""``migrate``: brings the Redis keys of an older wildtag to the current layout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape

from vectordb.errors import Permanent
from workers.cli.console import messages
from workers.cli.panels import OPERATE
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from workers.redis.migration import Done, Outcome
    from workers.wiring.wiring import Wiring


def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    to: Annotated[
        int | None, typer.Option(min=0, help="Layout version; an older one for an older wildtag. Default: newest.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The result as one JSON object.")] = False,
) -> None:
    """Bring the Redis keys of an older wildtag to the current layout. Stop all its processes first.

    An interrupted migration continues when the command runs again.
    """
    from workers.redis.migration import Outcome  # noqa: PLC0415 -- keeps the command line quick

    settings = Settings()
    with _reached(settings, dry_run=dry_run) as wiring:
        outcome = Outcome(None, None, ()) if wiring is None else _migrated(wiring, to, dry_run=dry_run)
    if json:
        typer.echo(msgspec.json.encode({
            "from": outcome.before, "to": outcome.after, "dry_run": dry_run,
            "steps": [{"version": one.version, "step": one.step, "changed": one.changed} for one in outcome.steps],
        }))  # fmt: skip
    elif outcome.before is None:
        messages.print("Nothing to migrate: there are no keys.")
    elif outcome.before == outcome.after:
        messages.print(f"Nothing to migrate: the keys have layout version {outcome.after}.")
    elif dry_run:
        messages.print(f"The keys have layout version {outcome.before} and would get {outcome.after}.")
    else:
        messages.print(f"Migrated from layout version {outcome.before} to {outcome.after}.")


def _migrated(wiring: Wiring, to: int | None, *, dry_run: bool) -> Outcome:
    from workers.wiring import operations  # noqa: PLC0415 -- as above

    migrator = operations.migrator(wiring, _report)
    if dry_run:
        outcome = migrator.plan(to)
        for one in outcome.steps:
            _report(one)
        return outcome
    if not migrator.settled(to):
        migrator.plan(to)  # refuses what cannot be done before anything is waited for
        if wiring.redis.exists(wiring.keys.encoder_change):
            raise Permanent(
                "a change of the encoder is in progress: `wildtag encoder switch`, or `wildtag encoder abort` first"
            )
        migrator.stopped()
        if consumers := wiring.publisher.consumers():
            raise Permanent(f"workers still running: {', '.join(consumers)}; stop all processes of wildtag first")
    return migrator.run(to)


def _report(what: Done | str) -> None:
    text = what if isinstance(what, str) else f"{what.step}: {what.changed:,}"
    messages.print(f"[dim]{escape(text)}[/]", soft_wrap=True)


@contextmanager
def _reached(settings: Settings, *, dry_run: bool) -> Iterator[Wiring | None]:
    """The adapters to the Redis that the environment names, or to that of this home, which is started where the
    stack is down; ``None`` where the home has none yet.
    """
    from workers.embedded.redis_server import PrivateRedis  # noqa: PLC0415 -- keeps the command line quick
    from workers.embedded.stack import running  # noqa: PLC0415 -- as above
    from workers.redis.server_paths import data_folder  # noqa: PLC0415 -- as above
    from workers.supervision.supervisor import Supervisor  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    if "redis_url" in settings.model_fields_set:
        yield Wiring(settings)
        return
    up = running(settings)
    if up is not None and not dry_run:
        raise Permanent(f"a stack is running in {settings.home}: stop it, then run `wildtag migrate` again")
    if up is not None:
        yield Wiring(up)
    elif not data_folder(settings.home).is_dir():
        yield None
    else:
        with Supervisor(settings.home, on_event=lambda event: _report(str(event))) as supervisor:
            redis = PrivateRedis(settings.home)
            supervisor.start([redis.service()])
            update = {"redis_url": redis.url, "broker_url": settings.broker_url or redis.broker_url}
            yield Wiring(settings.model_copy(update=update))


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command(rich_help_panel=OPERATE)(migrate)
