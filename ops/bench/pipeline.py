"""``python -m ops.bench pipeline``: images a second through the whole embedded stack, and through the bare encoder.

The stack runs as ``wildtag up`` starts it, with a folder as its bucket. In each round the same distinct photographs
go first through the bare encoder (one process that reads, decodes and encodes, with the batch that is fastest here)
and then through the stack, from their drop into the folder to the last record; with ``--against``, through those of
the other checkout as well. All stacks but the one that is measured are suspended. Figures are medians of the rounds,
with the least and the greatest; ratios are those of the same round. Under other load the ratio of CPU times is the
steadier one: it is the ratio of the rates as far as the cores are the limit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from ops.bench import checkouts
from ops.bench.checkouts import Checkout
from ops.bench.machine import machine, shown, spread, table, versions
from ops.bench.options import parser_of
from ops.bench.processes import EMBEDDING, cpu_seconds, end
from ops.bench.random_models import SHAPES, save_random
from ops.bench.stacks import Stack, new_home, started
from ops.bench.varied import SIDE, Varied
from vectordb.errors import Permanent
from vectordb.starter import captions

BUNDLED = "bundled"
BATCHES = (1, 2, 4, 8, 16)  # of the bare loop, of which the fastest is taken
WARM = 16  # images before each round, which load what a pause has evicted
FEW_CAPTIONS = 2000  # for an encoder that is not bundled: encoding all would take many minutes
BARE = "bare"

messages = Console(stderr=True)


@dataclass(frozen=True)
class Sizes:
    """``images`` per round. ``calibrated``: images with which each batch size of the bare loop is tried."""

    images: int
    rounds: int
    calibrated: int = 32


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table or JSON."""
    chosen = _parser().parse_args(arguments)
    sizes = Sizes(8, 1, 4) if chosen.short else Sizes(chosen.images, chosen.rounds)
    found: dict[str, Any] = {"machine": machine(), "versions": versions(), "encoder": chosen.encoder}
    found |= measured(checkouts.compared(chosen), chosen.encoder, sizes)
    found["load_after"] = machine()["load"]
    if chosen.json:
        print(json.dumps(found))
    else:
        Console().print(table(found, "median (least to greatest)", _rows(found["summary"])))


def measured(
    sides: Sequence[tuple[Checkout, Path | None]],
    encoder: str,
    sizes: Sizes,
    settings: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """All rounds and their summary. ``sides``: checkouts, each with the home whose captions it copies."""
    rounds: list[dict[str, Any]] = []
    # on one disk, so that files can be linked
    with tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as folder, ExitStack() as opened:
        given = {**(settings or {}), **named(encoder, Path(folder))}
        pictures = Varied()
        running = {one.name: opened.enter_context(_side(one, home, given)) for one, home in sides}
        trial = pictures.write(Path(folder, "trial"), sizes.calibrated)
        batches = {name: side.calibrate(trial) for name, side in running.items()}
        for number in range(sizes.rounds):
            files = pictures.write(Path(folder, f"round-{number}"), sizes.images)
            warm = pictures.write(Path(folder, f"warm-{number}"), min(WARM, sizes.images))
            rounds.append({name: side.round(files, warm, batches[name], number) for name, side in running.items()})
            messages.print(f"round {number + 1} of {sizes.rounds}", highlight=False)
    return {
        "images": sizes.images, "side": SIDE, "checkouts": checkouts.described([one for one, _ in sides]),
        "bare_batch": batches, "rounds": rounds, "summary": summary(rounds),
    }  # fmt: skip


def named(encoder: str, folder: Path) -> dict[str, str]:
    """The settings for an encoder: a name of the settings, or a random model, which is saved in ``folder`` first."""
    if encoder not in SHAPES:
        return {"WILDTAG_ENCODER": encoder}
    save_random(encoder, folder / encoder)
    return {"WILDTAG_ENCODER": str(folder / encoder)}


@contextmanager
def _side(checkout: Checkout, prepared: Path | None, settings: Mapping[str, str]) -> Iterator[_Side]:
    """The stack and the bare loop of a checkout, both waiting."""
    bundled = settings["WILDTAG_ENCODER"] == BUNDLED
    with new_home(prepared if bundled else None) as home:
        if not bundled:
            import_few(checkout, home, settings)
        with started(checkout, home, settings) as stack, _bare_loop(checkout, stack) as ask:
            yield _Side(stack, ask)


def import_few(checkout: Checkout, home: Path, settings: Mapping[str, str], count: int = FEW_CAPTIONS) -> None:
    """Import the first starter captions, and use them."""
    file = home / "few.txt"
    file.write_text("\n".join(caption.text for caption in islice(captions(), count)), encoding="utf-8")
    messages.print(f"encoding {count} captions", highlight=False)
    checkout.run(
        "captions", "import", str(file), "--name", "few", "--use", settings={**settings, "WILDTAG_HOME": str(home)}
    )


Ask = Callable[[Sequence[Path], int], dict[str, float]]


@contextmanager
def _bare_loop(checkout: Checkout, stack: Stack) -> Iterator[Ask]:
    """A function that sends files through the bare encoder. The model is loaded when it has answered once."""
    command = [checkout.python, "-P", str(Path(__file__).with_name("bare_loop.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=checkout.path,
        env=checkout.environment(stack.settings), text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None  # noqa: S101 -- a pipe was asked for
        assert process.stdout is not None  # noqa: S101 -- the same
        given, made = process.stdin, process.stdout

        def ask(files: Sequence[Path], batch: int) -> dict[str, float]:
            print(json.dumps({"files": [str(file) for file in files], "batch": batch}), file=given, flush=True)
            for line in made:
                if line.startswith('{"images"'):  # others are of libraries
                    answer: dict[str, float] = json.loads(line)
                    return answer
            raise Permanent(f"the bare loop of {checkout.path} has ended; its output is above")

        try:
            yield ask
        finally:
            given.close()
            end(process, 30)


class _Side:
    """One checkout: its stack, which is suspended whenever it is not measured, and its bare loop."""

    def __init__(self, stack: Stack, ask: Ask) -> None:
        self._stack = stack
        self._ask = ask
        stack.suspend()

    def calibrate(self, files: Sequence[Path]) -> int:
        """The batch size with which the bare loop is fastest on these files."""
        self._ask(files[:2], 1)  # loads the model
        return min(BATCHES, key=lambda batch: min(self._ask(files, batch)["seconds"] for _ in range(2)))

    def round(self, files: Sequence[Path], warm: Sequence[Path], batch: int, number: int) -> dict[str, Any]:
        """Rates of both, and CPU milliseconds an image by service of the stack."""
        bare = self._ask(files, batch)
        with self._stack.awake():
            through = through_stack(self._stack, files, warm, str(number))
        found = {**through, "bare_per_s": bare["images"] / bare["seconds"],
                 "bare_cpu_ms": 1000 * bare["cpu_seconds"] / bare["images"]}  # fmt: skip
        of_bare_cpu = found["bare_cpu_ms"] / found["cpu_ms_all"]
        return {**found, "of_bare": found["per_s"] / found["bare_per_s"], "of_bare_cpu": of_bare_cpu}


def through_stack(stack: Stack, files: Sequence[Path], warm: Sequence[Path], name: str) -> dict[str, Any]:
    """Send files through a stack, and ``warm`` before them. ``name``: of their folders in the inbox.

    ``per_s``: from the first drop to the last record. ``steady_per_s``: of the middle eight tenths of the records.
    """
    goal = stack.finished() + len(warm)
    stack.drop(warm, f"warm-{name}")
    stack.await_finished(goal)
    services = stack.services()
    seen: list[tuple[float, int]] = []
    before, begun = cpu_seconds(services), time.perf_counter()
    stack.drop(files, f"round-{name}")
    stack.await_finished(goal + len(files), lambda count: seen.append((time.perf_counter(), count - goal)))
    took = time.perf_counter() - begun
    used = {service: spent - before.get(service, 0.0) for service, spent in cpu_seconds(stack.services()).items()}
    cpu = {service: round(1000 * spent / len(files), 3) for service, spent in used.items()}
    return {
        "per_s": len(files) / took, "steady_per_s": steady(seen, len(files)), "cpu_ms": cpu,
        "cpu_ms_all": sum(cpu.values()),
        "cpu_ms_outside_embedding": sum(spent for service, spent in cpu.items() if service != EMBEDDING),
    }  # fmt: skip


def steady(seen: Sequence[tuple[float, int]], images: int) -> float | None:
    """Images a second from a tenth to nine tenths of the records; ``None`` for too few looks."""
    first = next(((at, count) for at, count in seen if count >= images * 0.1), None)
    last = next(((at, count) for at, count in seen if count >= images * 0.9), None)
    if first is None or last is None or last[1] <= first[1]:
        return None
    return (last[1] - first[1]) / (last[0] - first[0])


FIGURES = (
    "per_s",
    "steady_per_s",
    "bare_per_s",
    "of_bare",
    "of_bare_cpu",
    "bare_cpu_ms",
    "cpu_ms_all",
    "cpu_ms_outside_embedding",
)


def summary(rounds: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Median, least and greatest of each figure by checkout; under ``ratio`` those of this one over the other."""
    found: dict[str, dict[str, Any]] = {}
    for name in rounds[0]:
        figures = {key: [one[name][key] for one in rounds if one[name][key] is not None] for key in FIGURES}
        found[name] = {key: spread(values) for key, values in figures.items() if values}
        services = dict.fromkeys(service for one in rounds for service in one[name]["cpu_ms"])
        found[name]["cpu_ms"] = {
            service: round(median(one[name]["cpu_ms"].get(service, 0.0) for one in rounds), 3) for service in services
        }
    if "against" in found:
        found["ratio"] = {
            key: spread([one["this"][key] / one["against"][key] for one in rounds])
            for key in ("per_s", "bare_per_s", "cpu_ms_all", "cpu_ms_outside_embedding")
        }
    return found


def _rows(found: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    names = {
        "per_s": "whole stack, images a second", "steady_per_s": "the same, without its begin and end",
        "bare_per_s": "bare encoder, decoding included, images a second", "of_bare": "stack over bare encoder",
        "of_bare_cpu": "CPU of the bare encoder over that of the stack",
        "bare_cpu_ms": "bare encoder, CPU ms an image", "cpu_ms_all": "stack, CPU ms an image",
        "cpu_ms_outside_embedding": "of it outside of the embedding worker",
    }  # fmt: skip
    for side, figures in found.items():
        for key, name in names.items():
            if key in figures:
                yield f"{side}: {name}", shown(figures[key])
        for service, spent in sorted(figures.get("cpu_ms", {}).items(), key=lambda one: -one[1]):
            yield f"{side}: CPU ms an image, {service}", f"{spent:.2f}"


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("pipeline", __doc__, "8 photographs, one round")
    parser.add_argument(
        "--encoder", default=BUNDLED,
        help=f"as in WILDTAG_ENCODER, or {', '.join(SHAPES)}: random weights (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--images", type=int, default=500, help="photographs per round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    checkouts.add_options(parser)
    return parser
