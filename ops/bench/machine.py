"""The conditions of a measurement: machine, time and versions."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.table import Table

from tasks.encoders.requirements import version_of

PACKAGES = ("qdrant-edge-py", "onnxruntime", "torch", "transformers", "sentence-transformers", "tokenizers", "numpy")


def machine() -> dict[str, Any]:
    """CPU, cores, memory and load. Call it before and after: the load shows whether the machine was idle."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and greatest of repeated measurements."""
    return {"median": round(median(values), 3), "least": round(min(values), 3), "greatest": round(max(values), 3)}


def shown(figure: Mapping[str, float], unit: str = "", digits: int = 2) -> str:
    """A ``spread`` as text."""
    least, greatest = (f"{figure[name]:.{digits}f}" for name in ("least", "greatest"))
    return f"{figure['median']:.{digits}f} ({least} to {greatest}) {unit}".rstrip()


def table(found: Mapping[str, Any], column: str, rows: Iterable[tuple[str, str]]) -> Table:
    """A table of figures, with the ``machine`` above and the ``versions`` below."""
    where = found["machine"]
    made = Table(
        title=f"{where['cpu']}, {where['cores']} cores, load {where['load'][0]}, then {found['load_after'][0]}",
        caption=", ".join(f"{name} {value}" for name, value in found["versions"].items()),
    )
    made.add_column("what")
    made.add_column(column, justify="right")
    for name, figure in rows:
        made.add_row(name, figure)
    return made


def versions() -> dict[str, str]:
    """Versions of the installed packages that can affect a figure."""
    found = {"python": platform.python_version(), "commit": _commit()}
    for name in PACKAGES:
        if has := version_of(name):
            found[name] = has
    return found


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    found = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    fast = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in found.get("flags", "").split()]
    return f"{found.get('model name', platform.machine())} ({', '.join(fast)})"


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
