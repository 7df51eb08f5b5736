"""The receivers of webhooks: the one that variables configure, and those of a file.

The file has a table for each receiver, by its name::

    [shop]
    url = "https://shop.example/hooks/wildtag"   # or url_file
    secret_file = "/run/secrets/shop"            # or secret
    events = ["object.done", "batch.finished"]

Only the processes that send read it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from vectordb.errors import Permanent
from workers.settings.settings import Settings
from workers.settings.webhook_kinds import DEFAULT_RECEIVER, NAME, kinds_of, receiver_url
from workers.settings.webhook_secrets import secrets_of

MOST = 100  # receivers; each has a thread and connections
NONE = (
    "there is no receiver: set WILDTAG_NOTIFY_URL and WILDTAG_NOTIFY_SECRET, or name a file of receivers in"
    " WILDTAG_NOTIFY_FILE"
)


class BadReceivers(Permanent):
    """The file of receivers cannot be read, or is wrong. The text contains no secret."""


@dataclass(frozen=True)
class Receiver:
    """One receiver. ``keys``: sign each request. ``kinds``: of the events that it wants. ``place``: for people."""

    name: str
    url: str = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)
    kinds: frozenset[str]
    timeout_s: float
    attempts: int
    at_once: int
    ca_file: Path | None
    from_beginning: bool

    @property
    def place(self) -> str:
        """The address without its path, which often is a secret."""
        return receiver_url(self.url)


def receivers_of(settings: Settings) -> list[Receiver]:
    """All receivers, by name. Raises ``BadReceivers`` if the file is wrong. Empty if none is configured."""
    found = [] if settings.notify_file is None else _of_file(settings.notify_file, settings)
    if settings.notify_url is not None and settings.notify_secret is not None:
        if any(one.name == DEFAULT_RECEIVER for one in found):
            raise BadReceivers(
                f"the receiver {DEFAULT_RECEIVER} is in {settings.notify_file} and in WILDTAG_NOTIFY_URL: unset the"
                " variable, or rename the one in the file"
            )
        found.append(Receiver(
            DEFAULT_RECEIVER, settings.notify_url, tuple(secrets_of(settings.notify_secret)),
            kinds_of(settings.notify_events), settings.notify_timeout_s, settings.notify_attempts,
            settings.notify_at_once, settings.notify_ca_file, settings.notify_from_beginning,
        ))  # fmt: skip
    return sorted(found, key=lambda one: one.name)


def any_configured(settings: Settings) -> bool:
    """Whether there is something for a notifier to do."""
    return settings.notify_url is not None or settings.notify_file is not None


def chosen(receivers: list[Receiver], name: str | None) -> list[Receiver]:
    """The receiver of this name, or all. Raises ``Permanent`` if there is none."""
    if not receivers:
        raise Permanent(NONE)
    found = [one for one in receivers if name in {None, one.name}]
    if not found:
        raise Permanent(f"no receiver {name!r} is configured; there are {', '.join(one.name for one in receivers)}")
    return found


def _texts(value: object) -> object:
    return [value] if isinstance(value, str) else value


Texts = Annotated[list[str], BeforeValidator(_texts)]


class _Entry(BaseModel):
    """A table of the file. What is missing is as the variables have it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: str | None = None
    url_file: Path | None = None
    secret: Texts | None = None
    secret_file: Path | None = None
    events: Texts | None = None
    timeout_s: PositiveFloat | None = Field(None, le=300)
    attempts: PositiveInt | None = None
    at_once: PositiveInt | None = Field(None, le=100)
    ca_file: Path | None = None
    from_beginning: bool | None = None


def _of_file(path: Path, settings: Settings) -> list[Receiver]:
    tables = _tables(path)
    if len(tables) > MOST:
        raise BadReceivers(f"{path} has {len(tables)} receivers; {MOST} are possible")
    found = []
    for name, table in tables.items():
        try:
            found.append(_receiver(name, table, path.parent, settings))
        except ValidationError as exc:
            first = exc.errors(include_input=False, include_url=False, include_context=False)[0]
            at = ".".join(map(str, first["loc"]))
            raise BadReceivers(f"{path}, receiver {name}: {at}: {first['msg']}") from None
        except ValueError as exc:
            raise BadReceivers(f"{path}, receiver {name}: {exc}") from None
    return found


def _tables(path: Path) -> Mapping[str, Any]:
    try:
        content = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadReceivers(f"the file of WILDTAG_NOTIFY_FILE cannot be read: {_why(exc, path)}") from None
    try:
        found = json.loads(content) if content.lstrip().startswith("{") else tomllib.loads(content)
    except json.JSONDecodeError as exc:
        raise BadReceivers(f"{path} is not JSON: line {exc.lineno}: {exc.msg}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise BadReceivers(f"{path} is not TOML: {exc}") from None
    if not isinstance(found, dict) or not found:
        raise BadReceivers(
            f'{path} names no receiver: it needs a table for each, such as [shop] with url = "https://…"'
        )
    return found


def _receiver(name: str, table: object, folder: Path, settings: Settings) -> Receiver:
    if not re.fullmatch(NAME, name):
        raise ValueError("a name has 1 to 40 of the characters a-z, 0-9, _ and -, and begins with a letter or number")
    if not isinstance(table, dict):
        raise ValueError(f'not a table: write [{name}] and below it url = "https://…"')  # noqa: TRY004 -- as others
    read = _Entry.model_validate(table)
    url = _one("url", read.url, read.url_file, folder)
    receiver_url(url)
    secret = ",".join(read.secret) if read.secret is not None else None
    try:
        keys = tuple(secrets_of(_one("secret", secret, read.secret_file, folder)))
    except ValueError as exc:
        raise ValueError(f"secret: {exc}") from None
    return Receiver(
        name, url, keys, kinds_of(settings.notify_events if read.events is None else read.events),
        read.timeout_s or settings.notify_timeout_s, read.attempts or settings.notify_attempts,
        read.at_once or settings.notify_at_once,
        settings.notify_ca_file if read.ca_file is None else folder / read.ca_file.expanduser(),
        settings.notify_from_beginning if read.from_beginning is None else read.from_beginning,
    )  # fmt: skip


def _one(what: str, value: str | None, file: Path | None, folder: Path) -> str:
    """A value that is given, or in a file; lines of it are separated by commas."""
    if (value is None) == (file is None):
        raise ValueError(f"give either {what} or {what}_file")
    if file is None:
        return value or ""
    path = folder / file.expanduser()
    try:
        lines = path.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError(f"{what}_file cannot be read: {_why(exc, path)}") from None
    return ",".join(lines)


def _why(exc: Exception, path: Path) -> str:
    return f"{exc.strerror}: {path}" if isinstance(exc, OSError) else f"it is not UTF-8: {path}"
