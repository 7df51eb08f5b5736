"""What stands between a message and the models of its stage."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Protocol

from tasks.messages import Batch


class Guard(Protocol):
    """What stands between a message and the models; see ``workers.stages.crash_guard``."""

    def require(self, stage: str) -> None: ...
    def overdue(self) -> str: ...
    def holding(
        self, stage: str, batch: Batch | None = None, request: str = "", *, alone: bool = False
    ) -> AbstractContextManager[None]: ...  # fmt: skip
    def testing(self, stage: str) -> AbstractContextManager[None]: ...
    def finished(self, stage: str) -> None: ...
    def leaving(self) -> None: ...
    def judged(self, stage: str, error: Exception) -> Exception: ...


class Unguarded:
    """For stages whose process nobody succeeds."""

    def require(self, stage: str) -> None:
        """Requires nothing."""

    def overdue(self) -> str:
        """Nothing is."""
        return ""

    def holding(
        self,
        stage: str,  # noqa: ARG002
        batch: Batch | None = None,  # noqa: ARG002
        request: str = "",  # noqa: ARG002
        *,
        alone: bool = False,  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """Remembers nothing."""
        return contextlib.nullcontext()

    def testing(self, stage: str) -> AbstractContextManager[None]:  # noqa: ARG002 -- as above
        """Remembers nothing."""
        return contextlib.nullcontext()

    def finished(self, stage: str) -> None:
        """Remembers nothing."""

    def leaving(self) -> None:
        """Remembers nothing."""

    def judged(self, stage: str, error: Exception) -> Exception:  # noqa: ARG002
        """The error as it is."""
        return error


UNGUARDED = Unguarded()
