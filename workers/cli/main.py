"""The ``wildtag`` command and what all of its commands share."""

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
    captions,
    doctor,
    evaluate,
    events,
    migrate,
    one_process,
    processes,
    results,
    s3,
    segment,
    stack,
    upload,
    webhooks,
)
from workers.cli.panels import PANELS
from workers.processes.logs import configure
from workers.settings.names import OldName, old_option, unknown
from workers.settings.settings import Settings
from workers.settings.topic import variable


class _App(typer.Typer):
    """Ends with one line and status 1 on wildtag's own errors; a traceback is left for bugs."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        # torch's threads wait by spinning unless told otherwise before it is loaded; with several processes on
        # few cores that made encoding ten times slower
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        configure(logging.ERROR)  # a person is told what matters; processes that log set it up again
        if "_WILDTAG_COMPLETE" not in os.environ:  # a shell that completes a command shows what is printed
            for warning in unknown(os.environ, Settings.model_fields):
                typer.secho(f"wildtag: {warning}", fg="yellow", err=True)
        try:
            return super().__call__(*args, **kwargs)
        except WildtagError as exc:
            _say(str(exc))
            raise SystemExit(2 if isinstance(exc, OldName) else 1) from None
        except ValidationError as exc:  # settings are all that is validated here
            for error in exc.errors():
                name = variable(str(error["loc"][0]))  # what follows is a place in its list
                _say(f"{name}={_shown(name, error['input'])}: {error['msg'].removeprefix('Value error, ')}")
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
            said = old_option(str(getattr(exc, "option_name", "")))
            if said is None:
                raise
            raise OldName(said) from None


def _shown(name: str, value: object) -> str:
    """The value of a setting, without what may be secret in it: addresses may hold a password or a key."""
    text = str(value)
    hides = name.endswith(("_URL", "_ENDPOINT")) and not {"@", "?", "#"}.isdisjoint(text)
    return "***" if hides or Settings.is_secret(name) else text


def _say(what: str) -> None:
    typer.secho(f"wildtag: {what}", fg="red", err=True)


app = _App(
    name="wildtag",
    cls=_Commands,
    help="Tags images without a list of tags.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
for module in (
    stack, processes, one_process, upload, results, evaluate, captions, bucket, events, s3, segment, doctor, api_keys,
    webhooks, alive, migrate,
):  # fmt: skip
    module.add_to(app)
