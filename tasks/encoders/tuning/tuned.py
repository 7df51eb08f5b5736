"""Tunes an encoder for this machine, or reads what was remembered."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.encoders import BUNDLED, space_of
from tasks.encoders.requirements import need
from tasks.encoders.runtimes import ONNX_INT8, SIDES, Plan, Side
from tasks.encoders.tuning.remembered import Measured, Tuning, key_of, read_tuning, write_tuning
from tasks.encoders.tuning.tuner import Limits, Subject, chosen, measure

START_S = 20.0  # most that a tuning at a start takes
_EXACT_BUNDLED = 1e-4  # of a component: two machines give the same tags

Said = Callable[[Measured], None]


def remembered(name: str, cache_dir: Path, threads: int | None = None) -> Tuning | None:
    """What was measured of this encoder on this machine. Loads no model."""
    return read_tuning(cache_dir, key_of(space_of(name).id, threads))


def tune(
    name: str, cache_dir: Path, threads: int | None = None, *, at_start: bool = False, thorough: bool = False,
    said: Said = lambda _: None, clock: Callable[[], float] = time.perf_counter,
) -> Tuning:  # fmt: skip
    """Measure an encoder on the CPU and remember it. Raises what loading it raises.

    ``at_start``: takes about ``START_S`` at most. ``thorough``: more sizes and candidates, minutes. ``said`` is
    called with each measurement.
    """
    limits, begun = Limits(seconds=0.05, rounds=3) if at_start else Limits(), clock()
    if name == BUNDLED:
        limits = replace(limits, difference=_EXACT_BUNDLED)
    measured: list[Measured] = []
    plans: dict[Side, Plan] = {}
    for number, subject in enumerate(_subjects(name, cache_dir, threads, thorough=thorough), 1):
        if at_start:  # each side has its share
            limits = replace(limits, deadline=begun + START_S * number / len(SIDES))
        for found in measure(subject, limits, clock):
            measured.append(found)
            said(found)
        plans[subject.side] = chosen(subject, measured)
    tuning = Tuning(key=key_of(space_of(name).id, threads), measured=measured, plans=plans)
    write_tuning(cache_dir, tuning)
    if name != BUNDLED:
        _remove_graphs(cache_dir, space_of(name).id, tuning)
    return tuning


def _subjects(name: str, cache_dir: Path, threads: int | None, *, thorough: bool) -> list[Subject]:
    from tasks.encoders.tuning.subjects import (  # noqa: PLC0415 - reading what is remembered needs none of it
        bundled_subjects,
        photographs,
        sample_captions,
        subjects,
    )  # fmt: skip

    samples: dict[Side, Any] = {"image": photographs(), "text": sample_captions()}
    if name == BUNDLED:
        return bundled_subjects(cache_dir, threads, samples)
    need("torch", "torch")
    return subjects(name, cache_dir, threads, thorough=thorough, samples=samples)


def _remove_graphs(cache_dir: Path, space_id: str, tuning: Tuning) -> None:
    """Graphs that were exported for the measurement take as much space as the weights."""
    from tasks.encoders.graphs.exporting import graph_file  # noqa: PLC0415 - as above

    for side in SIDES:
        unused = [graph_file(cache_dir, f"{space_id}-{ONNX_INT8.partition('-')[2]}", side)]
        if not tuning.plans[side].onnx:
            unused.append(graph_file(cache_dir, space_id, side))
        for path in unused:
            for file in (path, path.with_suffix(".data")):
                with suppress(OSError):
                    file.unlink()
