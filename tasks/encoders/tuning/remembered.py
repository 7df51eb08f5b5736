"""What was measured of an encoder on this machine, as a JSON file in the folder for caches.

The file's name has a hash of all that a measurement depends on: the weights, the machine, the packages and this code.
Imports no torch.
"""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tasks.encoders.disk_cache import replacing
from tasks.encoders.requirements import cores, version_of
from tasks.encoders.runtimes import AUTO, Plan, Side, usual
from vectordb.decoders import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

MEASURED_BY = 3  # version of the code that measures; another one measures again
_PACKAGES = ("wildtag", "torch", "onnxruntime", "transformers")
_CPU = Path("/proc/cpuinfo")
_NAMES = ("model name", "cpu model", "cpu part")
_FLAGS = ("flags", "features")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One side of an encoder with one plan.

    ``rate``: images or texts per second. ``times``: the median of its rate by that of the usual plan, which took
    turns with it; 0 if that one could not be measured. ``cosine``: the smallest, and ``difference``: the largest of a
    component, to the vectors in float32. ``refused``: why ``auto`` does not take it; empty for what it may take.
    """

    side: Side
    plan: Plan
    rate: float = 0.0
    times: float = 0.0
    cosine: float = 0.0
    difference: float = 0.0
    refused: str = ""

    def speed(self) -> tuple[float, float]:
        """Orders plans of one side, the fastest last."""
        return self.times, self.rate


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """All measurements of an encoder. ``key``: what they depend on. ``plans``: the fastest or usual ones."""

    key: dict[str, str]
    measured: list[Measured]
    plans: dict[Side, Plan]

    def was_measured(self, side: Side) -> bool:
        """Whether the plan of a side was measured. If not, it is the usual one."""
        return any(one.rate for one in self.measured if (one.side, one.plan) == (side, self.plans[side]))

    def described(self, side: Side) -> str:
        """The plan of a side, and why it was chosen."""
        if not self.was_measured(side):
            return f"{self.plans[side]} (the usual, not measured)"
        others = any(one.rate for one in self.measured if one.side == side and one.plan != self.plans[side])
        return f"{self.plans[side]} ({'the fastest' if others else 'the only one that was measured'})"

    def plan(self, side: Side, runtime: str = AUTO) -> Plan | None:
        """The plan of a side: the fastest, or the fastest of a runtime. ``None`` if it was not measured."""
        if runtime == AUTO:
            return self.plans.get(side)
        found = [one for one in self.measured if (one.side, one.plan.runtime) == (side, runtime) and one.rate]
        return max(found, key=Measured.speed).plan if found else None


def key_of(space_id: str, threads: int | None = None, cpu: Path = _CPU) -> dict[str, str]:
    """What a measurement depends on."""
    return {
        "space": space_id, "cores": str(threads or cores()), "code": str(MEASURED_BY), **_processor(cpu),
        **{package: version_of(package) or "none" for package in _PACKAGES},
    }  # fmt: skip


def read_tuning(cache_dir: Path, key: Mapping[str, str]) -> Tuning | None:
    """What was measured for this key; ``None`` if nothing was, or the file is damaged."""
    try:
        found = from_json(_file(cache_dir, key).read_bytes(), Tuning)
    except (OSError, msgspec.DecodeError):
        return None
    return found if found.key == key else None


def write_tuning(cache_dir: Path, tuning: Tuning) -> None:
    """Remember measurements. A folder that is not writable remembers nothing."""
    path = _file(cache_dir, tuning.key)
    with suppress(OSError), replacing(path) as folder:
        Path(folder, path.name).write_bytes(msgspec.json.format(msgspec.json.encode(tuning)))


def plan_for(cache_dir: Path, space_id: str, side: Side, runtime: str, threads: int | None) -> Plan | None:
    """The plan for one side of a model of ``transformers`` on the CPU; ``None`` for ``auto`` if none was measured."""
    tuning = read_tuning(cache_dir, key_of(space_id, threads))
    found = tuning.plan(side, runtime) if tuning is not None else None
    return found if found is not None or runtime == AUTO else usual(runtime, side, threads)


def bundled_plan(cache_dir: Path, space_id: str, side: Side, threads: int | None) -> Plan | None:
    """The sizes for one side of the bundled encoder; ``None`` if none were measured."""
    tuning = read_tuning(cache_dir, key_of(space_id, threads))
    return tuning.plan(side) if tuning is not None else None


def _file(cache_dir: Path, key: Mapping[str, str]) -> Path:
    digest = hashlib.blake2b(repr(sorted(key.items())).encode(), digest_size=6).hexdigest()
    return cache_dir / "tuning" / f"{key['space']}-{digest}.json"


def _processor(cpu: Path) -> dict[str, str]:
    """The model and the instruction sets of the CPU."""
    try:
        lines = cpu.read_text(encoding="utf-8", errors="replace").lower().splitlines()
    except OSError:
        lines = []
    values = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    model = next((values[name] for name in _NAMES if values.get(name)), platform.processor() or os.uname().machine)
    flags = next((values[name] for name in _FLAGS if values.get(name)), "")
    listed = " ".join(sorted(flags.split()))
    return {"cpu": model, "flags": hashlib.blake2b(listed.encode(), digest_size=6).hexdigest()}
