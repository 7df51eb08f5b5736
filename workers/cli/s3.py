"""``s3``: enable event notifications of a bucket on an S3 server, and find where images get stuck."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import msgspec
import typer
from rich.markup import escape

from workers.cli.connection import connected, home_settings
from workers.cli.console import clean, console
from workers.cli.doctor import MARKS
from workers.cli.panels import BUCKET
from workers.cli.results import Json
from workers.gateway.addresses import loopback
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from workers.diagnostics.check import Check
    from workers.diagnostics.s3_existing import ExistingObject
    from workers.diagnostics.s3_probe import Probe

PLACEHOLDERS = {
    "$GATEWAY": "the URL at which MinIO reaches the gateway, such as http://HOST:8080/v1/events/minio; --url sets it",
    "$WILDTAG_WEBHOOK_TOKEN": "a secret of at least 8 characters, to which WILDTAG_WEBHOOK_TOKEN of the gateway"
    " must be set as well; create one with `openssl rand -hex 24`",
    "$REDIS_HOST": "the host of the Redis that wildtag reads events from (WILDTAG_REDIS_TARGET_URL)",
    "$REDIS_PASSWORD": "the password of that Redis; leave the variable out if it has none",
}
"""Values in ``server_environment`` that the user must replace, and what to replace them with."""

app = typer.Typer(no_args_is_help=True, help="Set up and check a bucket on MinIO or another S3 server.")

Bucket = Annotated[str | None, typer.Option(help="Name of the bucket; default: WILDTAG_BUCKET.")]
Prefix = Annotated[str, typer.Option(help="Only keys that begin with this prefix.")]
Suffix = Annotated[str, typer.Option(help="Only keys that end with this suffix.")]


@app.command()
def setup(
    bucket: Bucket = None,
    prefix: Prefix = "",
    suffix: Suffix = "",
    arn: Annotated[str | None, typer.Option(help="ARN of the receiver; default: a target of MinIO.")] = None,
    target: Annotated[Literal["webhook", "redis"], typer.Option(help="Type of the MinIO target.")] = "webhook",
    name: Annotated[str, typer.Option(help="Name of the MinIO target, with which its variables end.")] = "WILDTAG",
    url: Annotated[
        str | None,
        typer.Option(help="URL at which the server reaches the gateway; default: the gateway of this home."),
    ] = None,
    redis_key: Annotated[
        str, typer.Option(help="Redis key that MinIO writes to, with --target redis.")
    ] = "minio-events",
    at_once: Annotated[
        bool,
        typer.Option("--at-once", help="Also add a webhook without a queue folder, which gets events immediately."),
    ] = False,
    create: Annotated[bool, typer.Option("--create", help="Create the bucket if it does not exist.")] = False,
    show: Annotated[
        bool, typer.Option("--print", help="Print the variables for MinIO even if nothing is missing.")
    ] = False,
    json: Json = False,
) -> None:
    """Enable event notifications of a bucket. Existing entries are kept; a second run changes nothing."""
    from workers.diagnostics.s3_setup import set_up  # noqa: PLC0415 -- keeps the command line quick
    from workers.stores.s3_notification import Entry, arn_of, server_environment  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    if arn is not None and (not arn.startswith("arn:") or len(arn.split(":")) < 6):
        raise typer.BadParameter(f"{arn!r} is not an ARN such as arn:minio:sqs:us-east-1:WILDTAG:webhook")
    settings = _settings(bucket)
    entries = [Entry(arn or arn_of(target, name, settings.s3_region), prefix, suffix)]
    environment = {}
    if arn is None:
        reached = url or _gateway(settings) or "$GATEWAY"
        environment = server_environment(target, name, url=reached, redis_key=redis_key)
        if at_once:
            other = f"{name}NOW"
            entries.append(Entry(arn_of("webhook", other, settings.s3_region), prefix, suffix))
            environment |= server_environment("webhook", other, url=reached, redis_key=redis_key, queue=False)
    elif at_once:
        raise typer.BadParameter("--at-once applies only to targets of MinIO, not to --arn")
    first, *also = entries
    checks = set_up(Wiring(settings).s3, settings.bucket, first, environment, create=create, also=also)
    failed: list[str] = []
    fine = _print(_collect_failed(checks, failed), json=json)
    # if the notification failed, the server may lack the targets; if the bucket failed, that is unknown
    if environment and (show or "notification" in failed):
        _print_environment(environment, json=json)
    if not fine:
        raise typer.Exit(1)


@app.command()
def user(bucket: Bucket = None) -> None:
    """Create the user WILDTAG_S3_ACCESS_KEY on a MinIO server, who may do in the bucket what wildtag does.

    Requires the administrator's key pair in WILDTAG_S3_ADMIN_ACCESS_KEY and WILDTAG_S3_ADMIN_SECRET_KEY.
    """
    from workers.wiring.stores import make_s3_user  # noqa: PLC0415 -- keeps the command line quick

    settings = _settings(bucket)
    make_s3_user(settings)
    console.print(
        clean(f"{settings.s3_access_key} may read and write the bucket {settings.bucket}, and nothing else")
    )


def _gateway(settings: Settings) -> str | None:
    """The URL at which the S3 server reaches the gateway of this home, if it is known.

    A loopback address counts only if the server is on this machine, too.
    """
    from workers.supervision.supervisor import read_stack  # noqa: PLC0415 -- keeps the command line quick

    info, chosen = read_stack(settings.home), {"gateway_host", "gateway_port"} & settings.model_fields_set
    if info is not None and "gateway" in info.addresses:
        address = info.addresses["gateway"]
    elif chosen and settings.gateway_host not in {"0.0.0.0", "::"}:  # noqa: S104 -- not an address to connect to
        host = f"[{settings.gateway_host}]" if ":" in settings.gateway_host else settings.gateway_host
        address = f"http://{host}:{settings.gateway_port}"
    else:
        return None
    here, server = (urlsplit(at).hostname or "" for at in (address, settings.s3_endpoint or ""))
    return None if loopback(here) and not loopback(server) else f"{address}/v1/events/minio"


def _print_environment(environment: Mapping[str, str], *, json: bool) -> None:
    text = " ".join(environment.values())
    placeholders = {name: meaning for name, meaning in PLACEHOLDERS.items() if name in text}
    if json:
        body = {"environment": environment, "placeholders": placeholders}
        console.out(msgspec.json.encode(body).decode(), highlight=False)
        return
    console.print("\nStart MinIO with these environment variables:")
    for variable, value in environment.items():
        console.print(f"  {variable}={value}", markup=False, highlight=False, soft_wrap=True)
    if placeholders:
        console.print("\nReplace:")
    for name, meaning in placeholders.items():
        console.print(f"  {name}  {meaning}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def doctor(
    bucket: Bucket = None,
    prefix: Annotated[
        str | None, typer.Option(help="Prefix of the probe's key; default: one that is tagged.")
    ] = None,
    suffix: Annotated[
        str | None, typer.Option(help="Suffix of the probe's key; default: one that is tagged.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Tag this existing object again instead of uploading a probe.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for the event, and again for the record.")
    ] = 30.0,
    json: Json = False,
) -> None:
    """Upload a small image, trace it to its record, and report where it stopped and the delay of each event source.

    The image is removed again. If the key pair may not write, an existing object is tagged again instead.
    """
    from workers.diagnostics.s3_probe import no_probe_form, probe_forms  # noqa: PLC0415 -- keeps the command line quick
    from workers.diagnostics.s3_rejections import rejection_checks  # noqa: PLC0415 -- as above
    from workers.diagnostics.s3_setup import inspect_bucket, notification_entries  # noqa: PLC0415 -- as above
    from workers.stores.s3_notification import Entry  # noqa: PLC0415 -- as above
    from workers.wiring.s3_tracing import tracing  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    settings = _settings(bucket)
    store = Wiring(settings).s3
    if not _print(inspect_bucket(store, settings.bucket), json=json):
        raise typer.Exit(1)
    there = connected()
    entries = notification_entries(store, settings.bucket)
    trace = tracing(there, store, settings.bucket, entries, wait, key)
    if key is not None:
        checks = trace.existing.follow()
    else:
        first = entries[0] if entries else Entry("")
        form = next(probe_forms(there.object_filter, first, prefix, suffix), None)
        if form is None:
            _print([no_probe_form(there.object_filter, first, prefix, suffix)], json=json)
            raise typer.Exit(1)
        checks = _trace(trace.probe(form), trace.existing)
    began = time.time()
    fine = _print(checks, json=json)
    fine &= _print(rejection_checks(there.event_sink, began, time.time()), json=json)
    if not fine:
        raise typer.Exit(1)


def _trace(probe: Probe, existing: ExistingObject) -> Iterator[Check]:
    from workers.stores.store import ObjectForbidden  # noqa: PLC0415 -- as above

    try:
        yield from probe.follow()
    except ObjectForbidden as exc:
        yield from existing.follow(str(exc))


def _settings(bucket: str | None) -> Settings:
    return home_settings(None if bucket is None else Settings(bucket=bucket))


def _collect_failed(checks: Iterable[Check], failed: list[str]) -> Iterator[Check]:
    """Pass the checks through, and add the names of failed ones to ``failed``."""
    for check in checks:
        if check.ok is False:
            failed.append(check.name)
        yield check


def _print(checks: Iterable[Check], *, json: bool) -> bool:
    """Print checks as they arrive. Returns whether none has failed."""
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
