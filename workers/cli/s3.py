"""``s3``: have a bucket on an S3 server tell of its changes, and find out where images get stuck."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
import typer
from rich.markup import escape

from workers.cli.doctor import MARKS
from workers.cli.results import Json, connected
from workers.cli.show import clean, console
from workers.doctor import Check
from workers.settings import Settings
from workers.wiring import Wiring

app = typer.Typer(no_args_is_help=True, help="Follow a bucket on MinIO, or another S3 server.")

Bucket = Annotated[str | None, typer.Option(help="The one of WILDTAG_BUCKET when not given.")]
Prefix = Annotated[str, typer.Option(help="Only keys that begin so.")]
Suffix = Annotated[str, typer.Option(help="Only keys that end so.")]


@app.command()
def setup(
    bucket: Bucket = None,
    prefix: Prefix = "",
    suffix: Suffix = "",
    arn: Annotated[str | None, typer.Option(help="Whom the bucket tells, where it is no target of MinIO's.")] = None,
    target: Annotated[Literal["webhook", "redis"], typer.Option(help="Whom MinIO tells.")] = "webhook",
    name: Annotated[str, typer.Option(help="What the variables of that target end in.")] = "WILDTAG",
    url: Annotated[
        str, typer.Option(help="Where the server reaches the gateway.")
    ] = "http://gateway:8080/v1/events/minio",
    redis_key: Annotated[str, typer.Option(help="The key that MinIO fills in Redis.")] = "minio-events",
    create: Annotated[bool, typer.Option("--create", help="Make the bucket if it is not there.")] = False,
    json: Json = False,
) -> None:
    """Have a bucket tell of its changes, beside whatever else it tells; running this twice does nothing more."""
    from workers.s3_setup import set_up  # noqa: PLC0415 -- keeps the command line quick
    from workers.stores.s3_notification import Entry, arn_of, server_environment  # noqa: PLC0415 -- as above

    if arn is not None and (not arn.startswith("arn:") or len(arn.split(":")) < 6):
        raise typer.BadParameter(f"{arn!r} is no ARN; one looks like arn:minio:sqs:us-east-1:WILDTAG:webhook")
    settings = _settings(bucket)
    environment = {} if arn else server_environment(target, name, url=url, redis_key=redis_key)
    wish = Entry(arn or arn_of(target, name, settings.s3_region), prefix, suffix)
    fine = _say(set_up(Wiring(settings).s3, settings.bucket, wish, environment, create=create), json=json)
    if json and environment:
        console.out(msgspec.json.encode({"environment": environment}).decode(), highlight=False)
    elif environment:
        console.print("\nMinIO must have been started with:")
        for variable, value in environment.items():
            console.print(f"  {variable}={value}", markup=False, highlight=False, soft_wrap=True)
    if not fine:
        raise typer.Exit(1)


@app.command()
def doctor(
    bucket: Bucket = None,
    prefix: Annotated[str | None, typer.Option(help="Of the probe; one that is followed when not given.")] = None,
    suffix: Annotated[str | None, typer.Option(help="Of the probe; the same.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds for the event, and again for the record.")] = 30.0,
    json: Json = False,
) -> None:
    """Put an image into the bucket, follow it to its record, and say where it stopped. It is removed again."""
    from workers.s3_probe import Probe, disguises, unfollowed  # noqa: PLC0415 -- keeps the command line quick
    from workers.s3_setup import followed, look  # noqa: PLC0415 -- as above

    settings = _settings(bucket)
    store = Wiring(settings).s3
    if not _say(look(store, settings.bucket), json=json):
        raise typer.Exit(1)
    there = connected()
    told = followed(store, settings.bucket)
    disguise = next(disguises(there.following, told, prefix, suffix), None)
    if disguise is None:
        _say([unfollowed(there.following, told, prefix, suffix)], json=json)
        raise typer.Exit(1)
    probe = Probe(store, there.records, there.inbox, there.health, settings.bucket, disguise, wait_s=wait)
    if not _say(probe.follow(), json=json):
        raise typer.Exit(1)


def _settings(bucket: str | None) -> Settings:
    return Settings() if bucket is None else Settings(bucket=bucket)


def _say(checks: Iterable[Check], *, json: bool) -> bool:
    """Print checks as they come; whether all is well."""
    fine = True
    for check in checks:
        fine &= check.ok is not False
        if json:
            console.out(msgspec.json.encode(check).decode(), highlight=False)
            continue
        console.print(f"{MARKS[check.ok]}  {escape(check.name)}  {clean(check.detail)}", soft_wrap=True)
        if check.remedy and check.ok is not True:
            console.print(f"[bold]{escape(check.remedy)}[/]", soft_wrap=True)
    return fine


def add_to(parent: typer.Typer) -> None:
    """Register this module's commands."""
    parent.add_typer(app, name="s3")
