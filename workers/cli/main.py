"""The ``wildtag`` command, and the error handling that its commands share."""

from __future__ import annotations

import logging
import os

import typer
from pydantic import ValidationError

from vectordb.errors import WildtagError
from workers.cli import (
    alive,
    bucket,
    captions,
    doctor,
    evaluate,
    events,
    keys,
    one_process,
    processes,
    results,
    s3,
    segment,
    stack,
    upload,
    webhooks,
)
from workers.processes.logs import configure
from workers.settings.settings import Settings


class _App(typer.Typer):
    """Prints wildtag's own errors as one line, with exit status 1. Only bugs end with a traceback."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        # must be set before torch is loaded: its threads spin while they wait, which made encoding ten times slower
        # with several processes on few cores
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        configure(logging.ERROR)  # commands print; long-running processes configure logging again
        try:
            return super().__call__(*args, **kwargs)
        except WildtagError as exc:
            _say(str(exc))
            raise SystemExit(1) from None
        except ValidationError as exc:  # only settings are validated by pydantic
            for error in exc.errors():
                name = f"WILDTAG_{error['loc'][0]}".upper()  # further items are positions in a list
                _say(f"{name}={_shown(name, error['input'])}: {_reason(error['msg'])}")
            raise SystemExit(2) from None
        except OSError as exc:
            if exc.filename is None:
                raise
            _say(f"{exc.filename}: {exc.strerror}")
            raise SystemExit(1) from None


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
    help="Tag images without a fixed list of tags.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
for module in (
    stack, one_process, segment, upload, results, captions, bucket, evaluate, events, webhooks, s3, keys, doctor,
    processes, alive,
):  # fmt: skip
    module.add_to(app)
