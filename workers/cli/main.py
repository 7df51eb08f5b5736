"""The ``wildtag`` command and what all of its commands share."""

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
    version,
    webhooks,
)
from workers.processes.logs import configure
from workers.settings.settings import Settings


class _App(typer.Typer):
    """Ends with one line and status 1 on wildtag's own errors; a traceback is left for bugs."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        # torch's threads wait by spinning unless told otherwise before it is loaded; with several processes on
        # few cores that made encoding ten times slower
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        configure(logging.ERROR)  # a person is told what matters; processes that log set it up again
        try:
            return super().__call__(*args, **kwargs)
        except WildtagError as exc:
            _say(str(exc))
            raise SystemExit(1) from None
        except ValidationError as exc:  # settings are all that is validated here
            for error in exc.errors():
                name = f"WILDTAG_{error['loc'][0]}".upper()  # what follows is a place in its list
                _say(f"{name}={_shown(name, error['input'])}: {error['msg']}")
            raise SystemExit(2) from None
        except OSError as exc:
            if exc.filename is None:
                raise
            _say(f"{exc.filename}: {exc.strerror}")
            raise SystemExit(1) from None


def _shown(name: str, value: object) -> str:
    """The value of a setting, without what may be secret in it: addresses may hold a password or a key."""
    text = str(value)
    hides = name.endswith(("_URL", "_ENDPOINT")) and not {"@", "?", "#"}.isdisjoint(text)
    return "***" if hides or Settings.is_secret(name) else text


def _say(what: str) -> None:
    typer.secho(f"wildtag: {what}", fg="red", err=True)


app = _App(
    name="wildtag",
    help="Tags images without a list of tags.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
for module in (
    stack, one_process, segment, upload, results, captions, bucket, evaluate, events, webhooks, s3, keys, doctor,
    processes, alive, version,
):  # fmt: skip
    module.add_to(app)
