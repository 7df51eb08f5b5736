"""The ``wildtag`` command, and the error handling that its commands share."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from vectordb.errors import WildtagError
from workers.cli import version
from workers.cli.lazy_commands import COMMANDS, LazyCommands
from workers.settings.names import BadSetting, OldName, old_option, unknown
from workers.settings.variables import PREFIX, variable

_LISTED = {command.name: command for command in COMMANDS}


class _App(typer.Typer):
    """Prints wildtag's own errors as one line, with exit status 1. Only bugs end with a traceback."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        # must be set before torch is loaded: its threads spin while they wait, which made encoding ten times slower
        # with several processes on few cores
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        try:
            return super().__call__(*args, **kwargs)
        except WildtagError as exc:
            _say(str(exc))
            raise SystemExit(2 if isinstance(exc, BadSetting) else 1) from None
        except OSError as exc:
            if exc.filename is None:
                raise
            _say(f"{exc.filename}: {exc.strerror}")
            raise SystemExit(1) from None
        except ValueError as exc:
            pydantic = sys.modules.get("pydantic")  # if it was not imported, the error is another one
            if pydantic is None or not isinstance(exc, pydantic.ValidationError):
                raise
            for error in exc.errors():  # only settings are validated by pydantic
                name = variable(str(error["loc"][0]))  # further items are positions in a list
                given = f"{name} is not set" if error["input"] is None else f"{name}={_shown(name, error['input'])}"
                _say(f"{given}: {_reason(error['msg'])}")
            raise SystemExit(2) from None


class _Commands(TyperGroup):
    """All commands, by topic, each imported when it is needed. A renamed option is refused with its new name."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = LazyCommands()

    def get_command(self, _: Any, cmd_name: str) -> Any:
        """See Click: for help and completion, which list a command without running it."""
        found = _LISTED.get(cmd_name)
        return found and found.listed()

    def list_commands(self, _: Any) -> list[str]:
        """See Click: their order in the help."""
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """See Click: the command that is named in the arguments, to run it or to print its help."""
        name, _, rest = super().resolve_command(ctx, args)
        if not ctx.resilient_parsing:  # else a shell completes it, and shows what is printed
            _prepare()
        return name, self.commands[name] if name else None, rest

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


def _prepare() -> None:
    """Prepare this process for a command."""
    from workers.processes.logs import configure_command  # noqa: PLC0415 -- keeps the help quick

    configure_command()  # commands print; long-running processes configure logging again
    if any(name.upper().startswith(PREFIX) for name in os.environ):
        from workers.settings.settings import Settings  # noqa: PLC0415 -- as above

        for warning in unknown(os.environ, Settings.model_fields):
            typer.secho(f"wildtag: {warning}", fg="yellow", err=True)


def _shown(name: str, value: object) -> str:
    """The value of a setting with secrets masked. URLs may contain a password or a key."""
    from workers.settings.secret_settings import SECRETS  # noqa: PLC0415 -- keeps the help quick
    from workers.settings.settings import Settings  # noqa: PLC0415 -- as above

    text = str(value)
    # a port that is none may be a password
    hides = name.endswith(("_URL", "_ENDPOINT")) and re.search(r"[@?#]|://[^/]*:(?![0-9]+(?:/|$))", text)
    secret = Settings.is_secret(name) or name.removeprefix(PREFIX).lower() in SECRETS
    return "***" if hides or secret else text


def _reason(message: str) -> str:
    """A message of pydantic as a predicate of the setting."""
    return message.removeprefix("Value error, ").replace("Input should", "must", 1)


def _say(what: str) -> None:
    logs = sys.modules.get("workers.telemetry.logs")  # if it was not imported, this is no long-running process
    if logs is not None and logs.configured():
        import structlog  # noqa: PLC0415 -- as above

        structlog.get_logger().critical("process ends", reason=what)
        return
    typer.secho(f"wildtag: {what}", fg="red", err=True)


app = _App(
    name="wildtag",
    cls=_Commands,
    help="Tag images without a fixed list of tags.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
version.add_to(app)
