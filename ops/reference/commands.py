"""The command line, from its Typer application."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from ops.reference.markdown import code, table
from workers.cli.main import app


def cli() -> str:
    """Every command, with its arguments and options, below the topics of the help."""
    parts: list[str] = []
    topic = ""
    for names, command in commands():
        first = typer.main.get_command(app).commands[names[1]]  # type: ignore[attr-defined]  # a group has commands
        panel = getattr(first, "rich_help_panel", None)
        if isinstance(panel, str) and panel != topic:
            parts.append(f"## {panel}\n")
            topic = panel
        parts.append(_command(names, command))
    return "\n".join(parts)


def commands() -> Iterator[tuple[list[str], Any]]:
    """Each command of the help, with the words that call it, in the same order."""
    yield from _below(["wildtag"], typer.main.get_command(app))


def _below(names: list[str], command: Any) -> Iterator[tuple[list[str], Any]]:
    inside: dict[str, Any] = getattr(command, "commands", {})
    if not inside:
        yield names, command
    for name, one in inside.items():
        if not one.hidden:  # hidden commands only refuse former names
            yield from _below([*names, name], one)


def _command(names: list[str], command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and "--help" not in p.opts]
    usage = [*names, *(["[OPTIONS]"] if options else []), *(_metavar(p) for p in arguments)]
    parts = [
        f"### `{' '.join(names)}`\n",
        inspect.cleandoc(command.help or "") + "\n",
        f"```text\n{' '.join(usage)}\n```\n",
    ]
    if arguments:
        rows = ([code(_metavar(p)), str(getattr(p, "help", "") or "")] for p in arguments)
        parts.append(table(("argument", "meaning"), rows))
    if options:
        rows = ([code(_flags(p)), code(_default(p)), str(getattr(p, "help", "") or "")] for p in options)
        parts.append(table(("option", "default", "meaning"), rows))
    return "\n".join(parts)


def _metavar(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name.rstrip("_").upper())
    name += "…" if parameter.nargs == -1 else ""
    return name if parameter.required else f"[{name}]"


def _flags(parameter: Any) -> str:
    flags = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return flags if parameter.is_flag else f"{flags} {parameter.metavar or _shape(parameter)}"


def _shape(parameter: Any) -> str:
    """The values of an option: its choices, or the name of its type."""
    annotation = parameter.type_descriptor.annotation
    inside = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return "|".join(inside)
    kind = inside[0] if inside else annotation
    return {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(kind, "VALUE")


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or callable(value) or getattr(parameter, "is_flag", False) or isinstance(value, list | tuple):
        return ""
    return str(value)
