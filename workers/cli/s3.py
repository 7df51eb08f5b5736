"""``s3``: enable notifications of a bucket on an S3 server, and find out where images get stuck."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import msgspec
import typer
from rich.markup import escape

from workers.cli.doctor import MARKS
from workers.cli.panels import BUCKET
from workers.cli.results import Json, connected
from workers.cli.show import clean, console
from workers.diagnostics.doctor import Check
from workers.gateway.addresses import loopback
from workers.settings.settings import Settings
from workers.stores.store import ObjectForbidden
from workers.wiring.wiring import Wiring

if TYPE_CHECKING:
    from workers.diagnostics.s3_existing import Existing
    from workers.diagnostics.s3_probe import Probe

app = typer.Typer(no_args_is_help=True, help="Follow a bucket on MinIO, or another S3 server.")

Bucket = Annotated[str | None, typer.Option(help="The one of WILDTAG_BUCKET when not given.")]
Prefix = Annotated[str, typer.Option(help="Only keys that begin so.")]
Suffix = Annotated[str, typer.Option(help="Only keys that end so.")]


@app.command()
def setup(
    bucket: Bucket = None,
    prefix: Prefix = "",
    suffix: Suffix = "",
    arn: Annotated[str | None, typer.Option(help="ARN to notify, where it is no target of MinIO's.")] = None,
    target: Annotated[Literal["webhook", "redis"], typer.Option(help="Kind of MinIO target.")] = "webhook",
    name: Annotated[str, typer.Option(help="What the variables of that target end in.")] = "WILDTAG",
    url: Annotated[
        str | None, typer.Option(help="Where the server reaches the gateway; the one of this home when not given.")
    ] = None,
    redis_key: Annotated[str, typer.Option(help="The key that MinIO fills in Redis.")] = "minio-events",
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Also add a webhook without a queue folder: its events come at once.")
    ] = False,
    create: Annotated[bool, typer.Option("--create", help="Make the bucket if it is not there.")] = False,
    show: Annotated[
        bool, typer.Option("--print", help="Print the variables that MinIO needs, also where nothing is missing.")
    ] = False,
    json: Json = False,
) -> None:
    """Enable notifications of a bucket. Others that are configured are kept; a second run changes nothing."""
    from workers.diagnostics.s3_setup import set_up  # noqa: PLC0415 -- keeps the command line quick
    from workers.stores.s3_notification import Entry, arn_of, server_environment  # noqa: PLC0415 -- as above

    if arn is not None and (not arn.startswith("arn:") or len(arn.split(":")) < 6):
        raise typer.BadParameter(f"{arn!r} is no ARN; one looks like arn:minio:sqs:us-east-1:WILDTAG:webhook")
    settings = _settings(bucket)
    wishes = [Entry(arn or arn_of(target, name, settings.s3_region), prefix, suffix)]
    environment = {}
    if arn is None:
        reached = url or _gateway(settings) or "$GATEWAY"
        environment = server_environment(target, name, url=reached, redis_key=redis_key)
        if at_once:
            other = f"{name}NOW"
            wishes.append(Entry(arn_of("webhook", other, settings.s3_region), prefix, suffix))
            environment |= server_environment("webhook", other, url=reached, redis_key=redis_key, queue=False)
    elif at_once:
        raise typer.BadParameter("--at-once is for targets of MinIO's; give each ARN in a call of its own")
    first, *also = wishes
    checks = set_up(Wiring(settings).s3, settings.bucket, first, environment, create=create, also=also)
    failed: list[str] = []
    fine = _say(_noting(checks, failed), json=json)
    # the server may lack these targets; where the bucket itself cannot be reached that is not known
    if environment and (show or "notification" in failed):
        _print_environment(environment, json=json)
    if not fine:
        raise typer.Exit(1)


def _gateway(settings: Settings) -> str | None:
    """Where the S3 server reaches the gateway of this home, as far as that is known.

    An address of this machine alone is one for a server on this machine.
    """
    from workers.supervision.supervisor import read_stack  # noqa: PLC0415 -- keeps the command line quick

    info, chosen = read_stack(settings.home), {"gateway_host", "gateway_port"} & settings.model_fields_set
    if info is not None and "gateway" in info.addresses:
        address = info.addresses["gateway"]
    elif chosen and settings.gateway_host not in {"0.0.0.0", "::"}:  # noqa: S104 -- no address to reach
        host = f"[{settings.gateway_host}]" if ":" in settings.gateway_host else settings.gateway_host
        address = f"http://{host}:{settings.gateway_port}"
    else:
        return None
    here, server = (urlsplit(at).hostname or "" for at in (address, settings.s3_endpoint or ""))
    return None if loopback(here) and not loopback(server) else f"{address}/v1/events/minio"


def _print_environment(environment: Mapping[str, str], *, json: bool) -> None:
    if json:
        console.out(msgspec.json.encode({"environment": environment}).decode(), highlight=False)
        return
    console.print("\nMinIO must have been started with:")
    for variable, value in environment.items():
        console.print(f"  {variable}={value}", markup=False, highlight=False, soft_wrap=True)
    if "$GATEWAY" in environment.values():
        console.print(
            "where $GATEWAY is the address at which the server reaches the gateway, as "
            "http://HOST:8080/v1/events/minio: --url fills it in", markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip


@app.command()
def doctor(
    bucket: Bucket = None,
    prefix: Annotated[str | None, typer.Option(help="Of the probe; one that is followed when not given.")] = None,
    suffix: Annotated[str | None, typer.Option(help="Of the probe; the same.")] = None,
    key: Annotated[str | None, typer.Option(help="Follow this existing object instead of uploading a probe.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds for the event, and again for the record.")] = 30.0,
    json: Json = False,
) -> None:
    """Upload a small image, follow it to its record, and report where it stopped and how long each event source took.

    The image is removed again. With a key pair that may not write, an existing object is tagged again instead.
    """
    from workers.diagnostics.s3_existing import Existing  # noqa: PLC0415 -- keeps the command line quick
    from workers.diagnostics.s3_probe import Probe, disguises, unfollowed  # noqa: PLC0415 -- as above
    from workers.diagnostics.s3_setup import look, told_of  # noqa: PLC0415 -- as above
    from workers.diagnostics.s3_trail import Stack  # noqa: PLC0415 -- as above
    from workers.diagnostics.s3_ways import PATIENCE_S, Ways  # noqa: PLC0415 -- as above
    from workers.stores.s3_notification import Entry  # noqa: PLC0415 -- as above

    settings = _settings(bucket)
    store = Wiring(settings).s3
    if not _say(look(store, settings.bucket), json=json):
        raise typer.Exit(1)
    there = connected()
    told = told_of(store, settings.bucket)
    stack = Stack(there.records, there.inbox, there.health, wait)
    ways = Ways(there.sources, there.event_probes, told, patience_s=min(wait, PATIENCE_S))
    existing = Existing(store, stack, ways, settings.bucket, there.object_filter, key)
    if key is not None:
        checks = existing.follow()
    else:
        first = told[0] if told else Entry("")
        disguise = next(disguises(there.object_filter, first, prefix, suffix), None)
        if disguise is None:
            _say([unfollowed(there.object_filter, first, prefix, suffix)], json=json)
            raise typer.Exit(1)
        checks = _followed(Probe(store, stack, ways, settings.bucket, disguise), existing)
    if not _say(checks, json=json):
        raise typer.Exit(1)


def _followed(probe: Probe, existing: Existing) -> Iterator[Check]:
    try:
        yield from probe.follow()
    except ObjectForbidden as exc:
        yield from existing.follow(str(exc))


def _settings(bucket: str | None) -> Settings:
    return Settings() if bucket is None else Settings(bucket=bucket)


def _noting(checks: Iterable[Check], failed: list[str]) -> Iterator[Check]:
    """The checks; the names of those that fail are added to ``failed``."""
    for check in checks:
        if check.ok is False:
            failed.append(check.name)
        yield check


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
    parent.add_typer(app, name="s3", rich_help_panel=BUCKET)
