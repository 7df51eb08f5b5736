"""``python -m ops.bench memory``: memory of all processes of the embedded stack while it tags photographs.

The proportional set size (PSS) of each process, in which pages that several processes share are divided among them.
It includes pages of files, which the kernel may take back; ``own`` does not. With ``--against`` the stack of another
checkout is measured in the same way, after the first has ended.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from ops.bench import checkouts
from ops.bench.checkouts import Checkout
from ops.bench.machine import machine, table, versions
from ops.bench.options import parser_of
from ops.bench.pipeline import BUNDLED, import_few, named
from ops.bench.processes import Memory, memory_of
from ops.bench.random_models import SHAPES
from ops.bench.stacks import Stack, new_home, started
from ops.bench.varied import Varied

INTERVAL_S = 0.5  # between two looks, which take about 20 ms of CPU
TARGET_MB = 900.0


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table or JSON."""
    chosen = _parser().parse_args(arguments)
    found: dict[str, Any] = {"machine": machine(), "versions": versions(), "encoder": chosen.encoder}
    found |= measured(checkouts.compared(chosen), chosen.encoder, 8 if chosen.short else chosen.images)
    found["load_after"] = machine()["load"]
    if chosen.json:
        print(json.dumps(found))
    else:
        Console().print(table(found, "MB", _rows(found["figures"])))


def measured(sides: Sequence[tuple[Checkout, Path | None]], encoder: str, images: int) -> dict[str, Any]:
    """Figures by checkout."""
    figures = {}
    with tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as folder:
        settings = named(encoder, Path(folder))
        files = Varied().write(Path(folder, "pictures"), images)
        for checkout, prepared in sides:
            with new_home(prepared if encoder == BUNDLED else None) as home:
                if encoder != BUNDLED:
                    import_few(checkout, home, settings)
                with started(checkout, home, settings) as stack:
                    figures[checkout.name] = busy(stack, files, "memory")
    return {"images": images, "checkouts": checkouts.described([one for one, _ in sides]), "figures": figures}


def busy(stack: Stack, files: Sequence[Path], folder: str) -> dict[str, Any]:
    """Memory before, at most while these files are tagged, and afterwards, in MB by service and in sum.

    ``peak``: at the look at which the sum was greatest; ``peaks``: the greatest of each service.
    """
    before = memory_of(stack.services())
    goal = stack.finished() + len(files)
    with watching(stack) as looks:
        stack.drop(files, folder)
        stack.await_finished(goal)
    end = memory_of(stack.services())
    looks.append(end)
    peak = max(looks, key=total)
    services = dict.fromkeys(name for look in looks for name in look)
    return {
        "idle": described(before), "peak": described(peak), "end": described(end),
        "peaks": {name: max(look[name].pss for look in looks if name in look) for name in services},
        "reached": total(peak) <= TARGET_MB,
    }  # fmt: skip


@contextmanager
def watching(stack: Stack, interval_s: float = INTERVAL_S) -> Iterator[list[dict[str, Memory]]]:
    """A list of looks at the memory of all services, one for each interval while the block runs."""
    looks: list[dict[str, Memory]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(interval_s):
            looks.append(memory_of(stack.services()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield looks
    finally:
        done.set()
        watcher.join()


def total(look: Mapping[str, Memory]) -> float:
    """The proportional set size of all services, in MB."""
    return sum(one.pss for one in look.values())


def described(look: Mapping[str, Memory]) -> dict[str, Any]:
    """A look for JSON."""
    return {
        "pss": round(total(look), 1), "own": round(sum(one.own for one in look.values()), 1),
        "services": {name: {"pss": one.pss, "own": one.own} for name, one in look.items()},
    }  # fmt: skip


def _rows(found: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for side, one in found.items():
        for moment in ("idle", "peak", "end"):
            yield f"{side}: all processes, {moment}", f"{one[moment]['pss']:.0f}, {one[moment]['own']:.0f} of its own"
        for name, most in sorted(one["peaks"].items(), key=lambda pair: -pair[1]):
            yield f"{side}: {name}, at most", f"{most:.0f}"


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("memory", __doc__, "8 photographs")
    parser.add_argument("--images", type=int, default=300, help="photographs (default: %(default)s)")
    parser.add_argument(
        "--encoder",
        default=BUNDLED,
        help=f"as in WILDTAG_ENCODER, or {', '.join(SHAPES)}: random weights (default: %(default)s)",
    )
    checkouts.add_options(parser)
    return parser
