"""A torch that says whatever a test wants of the devices of a machine."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

AMPERE, TURING, PASCAL_FAST, PASCAL = (8, 0), (7, 5), (6, 0), (6, 1)


def made_up_torch(
    *capabilities: tuple[int, int],
    cuda: str | None = "13.0",
    warning: str = "",
    faults: Mapping[str, str] | None = None,
    mps: bool = False,
) -> Any:
    """``capabilities``: of each device of CUDA. ``cuda``: the version of the build.

    ``warning``: what it warns of when asked for devices. ``faults``: by device, the error of a computation there.
    """

    def available() -> bool:
        if warning:
            warnings.warn(warning, UserWarning, stacklevel=2)
        return bool(capabilities)

    def ones(_: int, *, device: str) -> Any:
        if device in (faults or {}):
            raise RuntimeError((faults or {})[device])
        made = SimpleNamespace(item=lambda: 2)
        made.add_ = lambda _: made
        return made

    return SimpleNamespace(
        __version__="9.9.9+made-up",
        version=SimpleNamespace(cuda=cuda, hip=None),
        ones=ones,
        cuda=SimpleNamespace(
            is_available=available,
            device_count=lambda: len(capabilities),
            get_device_capability=lambda index: capabilities[index],
            get_device_name=lambda index: f"Made-up {index}",
        ),
        backends=SimpleNamespace(mps=SimpleNamespace(is_built=lambda: mps, is_available=lambda: mps)),
    )
