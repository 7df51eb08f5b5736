"""``python -m ops.bench all``: every benchmark, one after the other, each in a process of its own.

By default with small sizes, which shows in some minutes that all of them run here; targets do not apply to them.
``--full`` takes the sizes of the benchmarks: hours in all. What cannot be measured here is named with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from ops.bench.__main__ import BENCHMARKS
from ops.bench.checkouts import ROOT, Checkout
from ops.bench.stacks import new_home
from workers.settings.settings import Settings

FOLDER, HOME = "{folder}", "{home}"  # in arguments: a folder that is removed at last; a home with captions
SHORT = ("--short",)
LABELLED = "needs labelled images: python -m ops.bench {name} MANIFEST"

messages = Console(stderr=True)


@dataclass(frozen=True)
class Plan:
    """The arguments for a run with small sizes and for a full one. ``missing``: why it is not run at all."""

    short: tuple[str, ...] = SHORT
    full: tuple[str, ...] = ()
    missing: str | None = None


PLANS = {
    "pipeline": Plan(),
    "latency": Plan(),
    "memory": Plan(),
    "soak": Plan(),
    "steady": Plan(),
    "start": Plan(),
    "reference": Plan(),
    "growth": Plan(),
    "decoding": Plan(),
    "captions": Plan(("--count", "2000", "--sample", "64", "--rounds", "1", "--work", FOLDER)),
    "delay": Plan(("--images", "2", "--away", "0", "--home", HOME), ("--home", HOME)),
    "encoders": Plan((*SHORT, "--model", "random-tiny", "--device", "auto"), ("--device", "auto")),
    "events": Plan(("--rate", "100", "--seconds", "2")),
    "gateway": Plan(("--rate", "50", "--seconds", "2", "--streams", "10")),
    "records": Plan(),
    "reconcile": Plan(("--count", "2000", "--rounds", "1")),
    "quality": Plan(missing=LABELLED.format(name="quality")),
    "finding": Plan(missing=LABELLED.format(name="finding")),
    "archive": Plan(("--photographs", "8", "--images", "300", "--home", HOME), ("--home", HOME)),
    "index_latency": Plan(("--images", "3000", "--queries", "10", "--folder", FOLDER)),
    "search": Plan((*SHORT, "--only", "keeping"), ("--only", "keeping")),  # the other parts are benchmarks here, too
    "segmentation": Plan(("--photographs", "1", "--rounds", "1")),
}


def main(arguments: Sequence[str]) -> None:
    """Run them, and print their tables, or one JSON object: each result or the reason why there is none."""
    parser = argparse.ArgumentParser(
        prog="python -m ops.bench all", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="with the sizes that the targets are for")
    parser.add_argument("--only", help="names, separated by commas (default: all)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args(arguments)
    only = chosen.only.split(",") if chosen.only else list(BENCHMARKS)
    if unknown := [name for name in only if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {', '.join(unknown)}")
    with _home() as home:
        found = {name: _run(name, home, full=chosen.full, as_json=chosen.json) for name in BENCHMARKS if name in only}
    if chosen.json:
        print(json.dumps(found))
    failed = [name for name, one in found.items() if "failed" in one]
    if failed:
        messages.print(f"failed: {', '.join(failed)}")
        raise SystemExit(1)


@contextmanager
def _home() -> Iterator[Path]:
    """The home of the settings if it has captions; else one in which they are encoded now, removed at last."""
    own = Settings().home
    if (own / "captions").is_dir():
        yield own
        return
    with new_home(None) as made:
        messages.print("encoding the starter captions")
        Checkout.this().run("prepare", settings={"WILDTAG_HOME": str(made)})
        yield made


def _run(name: str, home: Path, *, full: bool, as_json: bool) -> dict[str, Any]:
    """Its result; else ``missing`` or ``failed`` with the reason. Prints its table unless ``as_json``."""
    plan, begun = PLANS[name], time.monotonic()
    if plan.missing is not None:
        messages.print(f"{name}: not measured, {plan.missing}", soft_wrap=True)
        return {"missing": plan.missing}
    messages.print(f"{name}: {BENCHMARKS[name]}", soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        places = {FOLDER: folder, HOME: str(home)}
        given = [places.get(part, part) for part in (plan.full if full else plan.short)]
        command = [sys.executable, "-P", "-m", "ops.bench", name, *given, *(["--json"] if as_json else [])]
        # -P: modules of the current folder must not take the place of ours
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "WILDTAG_HOME": str(home)}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    messages.print(f"{name}: {time.monotonic() - begun:.0f} s", highlight=False)
    if done.returncode:
        return {"failed": f"it ended with {done.returncode}; its output is above"}
    if as_json:
        result: dict[str, Any] = json.loads(done.stdout)
        return result
    print(done.stdout)
    return {}
