"""``python -m ops.bench start``: time until the command line and the stack are of use, and the disk they need.

With a warm home, which has its captions and caches: ``wildtag --help``, ``wildtag tag`` of one photograph without a
stack, and ``wildtag up`` until every process is ready and the gateway accepts uploads. Wall time and CPU time of the
process and its children; the latter hardly depends on other load. With ``--against`` both checkouts alternate.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from ops.bench import checkouts
from ops.bench.checkouts import Checkout
from ops.bench.machine import machine, shown, spread, table, versions
from ops.bench.options import add_parts, parser_of
from ops.bench.processes import cpu_seconds
from ops.bench.stacks import new_home, started
from ops.bench.varied import Varied

TARGETS = {"help": 0.3, "tag": 2.5, "up": 6.0}  # seconds
NAMES = {"help": "wildtag --help", "tag": "wildtag tag PICTURE", "up": "wildtag up, until ready"}

messages = Console(stderr=True)


@dataclass
class _Side:
    """A checkout with a warm home, and what was measured: pairs of seconds of wall time and of CPU."""

    checkout: Checkout
    home: Path
    took: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {name: [] for name in NAMES})

    @property
    def settings(self) -> dict[str, str]:
        return {"WILDTAG_HOME": str(self.home)}


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table or JSON."""
    chosen = _parser().parse_args(arguments)
    found: dict[str, Any] = {"machine": machine(), "versions": versions()}
    parts = tuple(part for part in NAMES if part in chosen.only)
    found |= measured(checkouts.compared(chosen), 1 if chosen.short else chosen.rounds, parts)
    found["load_after"] = machine()["load"]
    if chosen.json:
        print(json.dumps(found))
    else:
        Console().print(table(found, "median (least to greatest)", _rows(found)))


def measured(
    sides: Sequence[tuple[Checkout, Path | None]], rounds: int, parts: Sequence[str] = tuple(NAMES)
) -> dict[str, Any]:
    """Figures by checkout."""
    measures: dict[str, Callable[[_Side, Path], tuple[float, float]]] = {"help": _help, "tag": _tag, "up": _up}
    with tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as folder, ExitStack() as opened:
        (picture,) = Varied().write(Path(folder), 1)
        running = [_Side(one, opened.enter_context(new_home(home))) for one, home in sides]
        for side in running:  # what is compiled, encoded and read for the first time
            for part in parts:
                measures[part](side, picture)
        for number in range(rounds):
            for part in parts:
                for side in running:
                    side.took[part].append(measures[part](side, picture))
            messages.print(f"round {number + 1} of {rounds}", highlight=False)
        return {
            "checkouts": checkouts.described([one for one, _ in sides]),
            "figures": {side.checkout.name: _figures(side, parts) for side in running},
        }


def _help(side: _Side, _: Path) -> tuple[float, float]:
    return _timed(side, ["--help"])


def _tag(side: _Side, picture: Path) -> tuple[float, float]:
    return _timed(side, ["tag", str(picture)])


def _up(side: _Side, _: Path) -> tuple[float, float]:
    begun = time.perf_counter()
    with started(side.checkout, side.home, {}) as stack:
        took = time.perf_counter() - begun
        return took, sum(cpu_seconds(stack.services()).values())


def _timed(side: _Side, arguments: Sequence[str]) -> tuple[float, float]:
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    side.checkout.run(*arguments, settings=side.settings)
    took, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _figures(side: _Side, parts: Sequence[str]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        part: {
            "seconds": spread([wall for wall, _ in side.took[part]]),
            "cpu_seconds": spread([cpu for _, cpu in side.took[part]]),
        }
        for part in parts
    }
    figures["reached"] = {part: figures[part]["seconds"]["median"] <= TARGETS[part] for part in parts}
    where = [side.checkout.python, "-c", "import sys; print(sys.prefix)"]
    prefix = subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip()
    return {**figures, "home_mb": megabytes(side.home), "environment_mb": megabytes(Path(prefix))}


def megabytes(folder: Path) -> float:
    """Allocated disk of all files of a folder, in MB (1,000,000 bytes), each counted once."""
    seen: dict[tuple[int, int], int] = {}
    for file in folder.rglob("*"):
        if not file.is_symlink() and file.is_file():
            about = file.stat()
            seen[about.st_dev, about.st_ino] = about.st_blocks * 512
    return round(sum(seen.values()) / 1e6, 1)


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for side, figures in found["figures"].items():
        for part, name in NAMES.items():
            if part in figures:
                cpu = figures[part]["cpu_seconds"]["median"]
                yield f"{side}: {name}", f"{shown(figures[part]['seconds'], 's')}, {cpu:.2f} s of CPU"
        yield f"{side}: its home", f"{figures['home_mb']:,.0f} MB"
        yield f"{side}: the environment of its interpreter", f"{figures['environment_mb']:,.0f} MB"


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("start", __doc__, "one round")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    add_parts(parser, NAMES)
    checkouts.add_options(parser)
    return parser
