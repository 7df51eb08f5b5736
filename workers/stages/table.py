"""Defines a stage for a worker: the decoder of its messages, and the function that handles them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tasks.messages import Batch
from workers.lifecycle.outcomes import Accepted

M = TypeVar("M", bound=Batch)

Work = Callable[[M, Accepted], None]
"""Handles one message. ``Accepted`` holds the objects of the message that are still wanted."""


@dataclass(frozen=True)
class Stage(Generic[M]):
    """``decode`` reads a message. ``work`` returns the function that handles it; its first call may load a model."""

    decode: Callable[[bytes], M]
    work: Callable[[], Work[M]]
