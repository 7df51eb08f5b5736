"""What encoders ask of the machine: optional packages, threads, a fast number format."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from vectordb.errors import Permanent

if TYPE_CHECKING:
    import torch


class MissingPackage(Permanent):
    """An optional package is not installed."""


class ModelNotLoaded(Permanent):
    """A model cannot be found, reached or used."""


def need(module: str, package: str) -> ModuleType:
    """Import an optional module, or say how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        raise MissingPackage(
            f"the package {package} is missing; install it with: pip install 'wildtag[embedded]'"
        ) from exc


def use_threads(count: int | None) -> None:
    """Let torch use so many threads in this process; ``None`` leaves it (and OMP_NUM_THREADS) alone."""
    if count is not None:
        import torch  # noqa: PLC0415 - torch is loaded by those who need it

        torch.set_num_threads(count)


def fast_dtype() -> torch.dtype:
    """bfloat16 on a CPU with instructions for it, where transformers run 3 to 5 times faster, else float32.

    Asked of the CPU rather than timed: every process on a machine must come to the same answer.
    """
    import torch  # noqa: PLC0415 - as above

    query = getattr(torch.cpu, "get_capabilities", None)  # since torch 2.11
    found = query() if query else {}
    if found.get("avx512_bf16") or found.get("amx_bf16"):
        return torch.bfloat16
    return torch.float32


def quiet_transformers() -> None:
    """No progress bar and no advice on standard error while a model loads."""
    from transformers.utils import logging  # noqa: PLC0415 - takes seconds

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # has no annotations
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # as above
