"""The ``wildtag`` command, and the error handling that its commands share."""

from __future__ import annotations

import logging
import os
from typing import Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from vectordb.errors import WildtagError
from workers.cli import (
    alive,
    api_keys,
    bucket,
    calibrate,
    captions,
    doctor,
    duplicates,
    evaluate,
    events,
    find,
    images,
    migrate,
    models,
    one_process,
    processes,
    results,
    s3,
    segment,
    stack,
    teach,
    upload,
    version,
    webhooks,
)
from workers.cli.panels import PANELS
from workers.processes.logs import configure
from workers.settings.names import OldName, old_option, unknown
from workers.settings.settings import Settings
from workers.settings.topic import variable


class _App(typer.Typer):
    """Prints wildtag's own errors as one line, with exit status 1. Only bugs end with a traceback."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        # must be set before torch is loaded: its threads spin while they wait, which made encoding ten times slower
        # with several processes on few cores
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        configure(logging.ERROR)  # commands print; long-running processes configure logging again
        if "_WILDTAG_COMPLETE" not in os.environ:  # a shell that completes a command shows what is printed
            for warning in unknown(os.environ, Settings.model_fields):
                typer.secho(f"wildtag: {warning}", fg="yellow", err=True)
        try:
            return super().__call__(*args, **kwargs)
        except WildtagError as exc:
            _say(str(exc))
            raise SystemExit(2 if isinstance(exc, OldName) else 1) from None
        except ValidationError as exc:  # only settings are validated by pydantic
            for error in exc.errors():
                name = variable(str(error["loc"][0]))  # further items are positions in a list
                _say(f"{name}={_shown(name, error['input'])}: {_reason(error['msg'])}")
            raise SystemExit(2) from None
        except OSError as exc:
            if exc.filename is None:
                raise
            _say(f"{exc.filename}: {exc.strerror}")
            raise SystemExit(1) from None


class _Commands(TyperGroup):
    """All commands, by topic. An option that was renamed is refused with its new name."""

    def list_commands(self, ctx: Any) -> list[str]:
        """See Click: their order in the help."""
        panels = {name: getattr(command, "rich_help_panel", None) for name, command in self.commands.items()}
        return sorted(super().list_commands(ctx), key=lambda name: PANELS.index(panels[name]))

    def invoke(self, ctx: Any) -> Any:
        """See Click: here the arguments of the command are read, and it runs."""
        try:
            return super().invoke(ctx)
        except Exception as exc:
            # Click's NoSuchOption; some releases of Typer bring a Click of their own, which has no public name
            asked = getattr(getattr(exc, "ctx", None), "command", None)
            parameters = getattr(asked, "params", ())
            valid = {option for one in parameters for option in (*one.opts, *one.secondary_opts)}
            message = old_option(str(getattr(exc, "option_name", "")), valid)
            if message is None:
                raise
            raise OldName(message) from None


def _shown(name: str, value: object) -> str:
    """The value of a setting with secrets masked. URLs may contain a password or a key."""
    text = str(value)
    hides = name.endswith(("_URL", "_ENDPOINT")) and not {"@", "?", "#"}.isdisjoint(text)
    return "***" if hides or Settings.is_secret(name) else text


def _reason(message: str) -> str:
    """A message of pydantic as a predicate of the setting."""
    return message.removeprefix("Value error, ").replace("Input should", "must", 1)


def _say(what: str) -> None:
    typer.secho(f"wildtag: {what}", fg="red", err=True)


app = _App(
    name="wildtag",
    cls=_Commands,
    help="Tag images without a fixed list of tags.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
for module in (
    stack, processes, one_process, upload, results, find, duplicates, evaluate, calibrate, captions, teach, bucket,
    events, s3, segment, images, doctor, models, api_keys, webhooks, alive, migrate, version,
):  # fmt: skip
    module.add_to(app)
