"""``upload``: send files to a gateway, and optionally wait for their tags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import msgspec
import typer
from rich.table import Table

from tasks.message_parts import UserMetadata
from vectordb.errors import Permanent
from workers.cli.connection import no_stack
from workers.cli.console import clean, console, messages
from workers.cli.files import expanded
from workers.cli.own_metadata import ClientId, Metadata, described
from workers.cli.panels import TAG
from workers.cli.results import Json
from workers.cli.sending_bars import SendingBars
from workers.cli.show import print_table
from workers.gateway.home_key import read_home_key
from workers.lifecycle.times import public
from workers.settings.segmentation import METHODS
from workers.settings.settings import Settings
from workers.stores.folder_names import key_text
from workers.stores.user_metadata import from_name

if TYPE_CHECKING:
    from workers.cli.sending import Sent

PATIENCE_S = 600.0  # how long uploads are retried while the gateway is overloaded


def upload(
    files: Annotated[list[Path], typer.Argument(help="Image files.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the tags and show them.")] = False,
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for the tags of one image, with --wait.")
    ] = 600.0,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Upload the files in folders, recursively.")
    ] = False,
    segment: Annotated[str | None, typer.Option(help=f"Also segment them: {', '.join(METHODS)}.")] = None,
    client_id: ClientId = None,
    metadata: Metadata = None,
    url: Annotated[
        str | None, typer.Option(help="URL of the gateway. Default: WILDTAG_URL, or the running stack.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="API key; prefer WILDTAG_API_KEY, which the process list does not show.")
    ] = None,
    json: Json = False,
) -> None:
    """Upload images to the gateway, several at a time.

    A file is skipped if neither its name nor its content is that of an image. Exit status 1: some images were not
    uploaded, or with --wait not tagged, or a file that was named is skipped.
    """
    from workers.cli.announced import Waits  # noqa: PLC0415 -- as below
    from workers.cli.sending import Sending  # noqa: PLC0415 -- keeps the command line quick
    from workers.client import Client, Image  # noqa: PLC0415 -- as above

    if segment not in {None, *METHODS}:
        raise typer.BadParameter(f"unknown segmentation method {segment!r}; available methods: {', '.join(METHODS)}")
    settings = Settings() if key is None else Settings(api_key=key)
    paths = list(dict.fromkeys(expanded(files) if recursive else files))
    user = described(client_id, metadata, len(paths)) or UserMetadata()
    reasons: Counter[str] = Counter()
    bars = SendingBars(len(paths), "tagged" if wait else "uploaded")
    done: dict[Path, Sent] = {}
    there = url or settings.url or _gateway(settings)
    own_key = settings.api_key or (read_home_key(settings.home) if _is_own(there, settings) else None)
    with Client(there, own_key, patience=PATIENCE_S, on_wait=Waits().say) as client:
        client.ping()

        def uploaded(path: Path) -> Image:
            if path.is_dir():
                raise Permanent("is a folder; --recursive uploads its files")
            with path.open("rb") as file, bars.reading(file, path.stat().st_size, _name(path)) as counted:
                return client.upload(
                    counted, segment=segment, file_name=from_name(key_text(path.name)), client_id=user.client_id,
                    metadata=dict(user.values),
                )  # fmt: skip

        def settled(image: Image) -> Image:
            return client.wait(image.id, timeout) if wait else image

        try:
            with bars.shown(json and console.is_terminal):  # bars would mix with the lines of JSON on a terminal
                for sent in Sending(paths, uploaded, settled, video=settings.video):
                    done[sent.path] = sent
                    bars.advance(_in_short(sent))
                    _say(sent, reasons, json=json)
        except KeyboardInterrupt:
            messages.print(f"Interrupted. {len(done)} of {len(paths)} files were processed.")
            raise typer.Exit(130) from None
    if not json:
        _show([done[path] for path in paths if path in done], wait=wait)
    _count(paths, done, reasons, named=set(files))


def _count(paths: Sequence[Path], done: Mapping[Path, Sent], reasons: Counter[str], *, named: set[Path]) -> None:
    """Print how many files were skipped and how many failed. Raises ``typer.Exit`` if it is not in order."""
    for reason, count in reasons.items():
        if count > 1:
            messages.print(f"{count:,} files: {clean(reason)}", soft_wrap=True)
    skipped = [path for path, sent in done.items() if sent.skipped]
    if skipped:
        messages.print(f"{len(skipped)} of {len(paths)} files skipped")
    late = sum(sent.late for sent in done.values())
    if late:
        messages.print(f"{late} of {len(paths)} files uploaded, but not finished; they are tagged all the same")
    failed = len(paths) - len(skipped) - late - sum(sent.fine for sent in done.values())
    if failed:
        messages.print(f"[red]{failed} of {len(paths)} files failed[/]")
    # as with ``wildtag tag``: who names a file wants its tags; a folder may contain anything
    if failed or late or not named.isdisjoint(skipped):
        raise typer.Exit(1)


def _gateway(settings: Settings) -> str:
    from workers.supervision.supervisor import read_stack  # noqa: PLC0415 -- keeps the command line quick

    info = read_stack(settings.home)
    if info is None:
        raise no_stack(settings, "pass the URL of a gateway with [bold]--url[/] or WILDTAG_URL")
    return info.addresses["gateway"]


def _is_own(url: str, settings: Settings) -> bool:
    """Whether this is the gateway of the stack that runs here. The key of the home is sent to no other one."""
    from workers.supervision.supervisor import read_stack  # noqa: PLC0415 -- as above

    info = read_stack(settings.home)
    return info is not None and urlsplit(url).netloc == urlsplit(info.addresses["gateway"]).netloc


def _name(path: Path) -> str:
    return clean(key_text(str(path)))


def _in_short(sent: Sent) -> str:
    record = sent.image.record if sent.image else None
    return ", ".join([_name(sent.path), *(clean(tag.label) for tag in (record.tags if record else ())[:2])])


def _say(sent: Sent, reasons: Counter[str], *, json: bool) -> None:
    """Print a line for an error, with its reason unless ``reasons`` has it; with ``json`` one object a file."""
    if sent.error is not None:
        reasons[sent.error.reason] += 1
        state = "[dim]skipped[/]" if sent.skipped else "[yellow]uploaded[/]" if sent.late else "[red]failed[/]"
        reason = f": {clean(sent.error.reason)}" if reasons[sent.error.reason] == 1 else ""
        messages.print(f"{_name(sent.path)}: {state}{reason}", soft_wrap=True)
    if json:
        image = sent.image
        body = {
            "file": key_text(str(sent.path)), "id": image and image.id,
            "state": "skipped" if sent.skipped else image and image.state,
            "file_name": image and image.file_name, "client_id": image and image.client_id,
            "metadata": image and image.metadata,
            "record": image and image.record, "error": sent.error,
        }  # fmt: skip
        console.out(msgspec.json.encode(public(body)).decode(), highlight=False)


def _show(all_: list[Sent], *, wait: bool) -> None:
    """Print a table of the files that were uploaded."""
    if wait:
        records = [(sent.path, sent.image.record) for sent in all_ if sent.image and sent.image.record]
        print_table([msgspec.structs.replace(record, key=key_text(str(path))) for path, record in records])
        return
    view = Table("photo", "id", pad_edge=False)
    for sent in all_:
        if sent.image is not None:
            view.add_row(_name(sent.path), sent.image.id)
    if view.row_count:
        console.print(view)


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command(rich_help_panel=TAG)(upload)
