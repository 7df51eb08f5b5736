"""The options that describe a file: an id of one's own, and texts by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from tasks.message_parts import UserMetadata
from workers.stores.user_metadata import BadMetadata, checked

ClientId = Annotated[
    str | None,
    typer.Option("--client-id", metavar="ID", help="An id of your own for one file; its record repeats it."),
]
Metadata = Annotated[
    list[str] | None,
    typer.Option("--metadata", metavar="NAME=TEXT", help="A text that the records repeat, and search finds."),
]


def described(client_id: str | None, metadata: Sequence[str] | None, files: int) -> UserMetadata | None:
    """What the options say of ``files`` files; ``None`` if they say nothing. Raises ``typer.BadParameter``."""
    if client_id is not None and files > 1:
        raise typer.BadParameter(f"--client-id names one file; here are {files:,}")
    texts: dict[str, str] = {}
    for one in metadata or ():
        name, equals, text = one.partition("=")
        if not equals:
            raise typer.BadParameter(f"--metadata is NAME=TEXT, not {one!r}")
        if name in texts:
            raise typer.BadParameter(f"--metadata {name!r} is given twice")
        texts[name] = text
    try:
        return checked(None, client_id, texts)
    except BadMetadata as exc:
        raise typer.BadParameter(str(exc)) from exc
