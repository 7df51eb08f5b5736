"""Redis keys, side files, metrics and the Python client, from docstrings and calls in the source."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import workers.client
from ops.reference.markdown import code, plain, table
from workers.monitoring.catalogue import CATALOGUE
from workers.redis import keys
from workers.stores.key_patterns import SIDE_FILES

ROOT = Path(__file__).parents[2]
VALUES = {"redis": "counted in Redis", "state": "read when asked", "process": "counted by each process"}
RULES = 3  # lines of a table: above and below its head, and at its end


def redis() -> str:
    """The layout of the keys, from the docstring of its module."""
    lines = inspect.cleandoc(keys.__doc__ or "").splitlines()
    rules = [at for at, line in enumerate(lines) if re.fullmatch(r"[= ]*=", line)]
    if len(rules) < RULES:
        raise ValueError("the documentation of workers/redis/keys.py has no table")
    starts = [found.start() for found in re.finditer("=+", lines[rules[0]])]

    def cells(line: str) -> list[str]:
        ends = [*starts[1:], len(line) + 1]
        return [line[begin:end].strip() for begin, end in zip(starts, ends, strict=True)]

    rows: list[list[str]] = []
    for line in lines[rules[1] + 1 : rules[2]]:
        parts = cells(line)
        if parts[0] or not rows:
            rows.append(parts)
        else:
            rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], parts, strict=True)]
    shown = table(cells(lines[rules[0] + 1]), ([plain(cell) for cell in row] for row in rows))
    return "\n".join([plain("\n".join(lines[2 : rules[0]])) + "\n", shown, plain("\n".join(lines[rules[2] + 1 :]))])


def side_files() -> str:
    """The patterns of files that are never tagged."""
    return ", ".join(map(code, SIDE_FILES)) + "\n"


def metrics() -> str:
    """All metrics, from their catalogue."""
    rows = (
        [code(one.exposed), one.kind, ", ".join(map(code, one.labels)), one.help + ".", VALUES[one.source]]
        for one in CATALOGUE
    )
    return table(("metric", "type", "labels", "meaning", "value"), rows)


def client() -> str:
    """The methods of the client with their docstrings, and its errors."""
    parts = []
    for name, method in vars(workers.client.Client).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            parts += [f"### `{name}{_signature(method)}`\n", plain(method.__doc__ or "") + "\n"]
    errors = [one for one in vars(workers.client).values() if inspect.isclass(one) and issubclass(one, Exception)]
    rows = ([code(one.__name__), plain(one.__doc__ or "").split("\n\n")[0]] for one in errors)
    return "\n".join([*parts, "## Errors\n", table(("error", "meaning"), rows)])


def _signature(method: Callable[..., object]) -> str:
    signature = inspect.signature(method)
    own = [one.replace(annotation=inspect.Parameter.empty) for one in list(signature.parameters.values())[1:]]
    return str(signature.replace(parameters=own, return_annotation=inspect.Signature.empty))
