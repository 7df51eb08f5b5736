"""A stage as a worker runs it: what its messages are, and what is called for each."""

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
    """``work`` gives what handles a message. It may load a model the first time it is called."""

    message: type[M]
    work: Callable[[], Work[M]]
