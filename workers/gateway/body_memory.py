"""Limits the memory that all request bodies together occupy.

Every place that keeps bytes of a body counts them on the lease of its request. The memory is returned when the
request ends. If the memory is full, or a sender has its share of it, the error says when to try again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Request

from workers.gateway.problems import Problem
from workers.gateway.shares import Shares

LEAST = 64 * 2**20
PIECE = 2**16  # bytes that a sender gets even if others hold nearly everything
WAIT_S = 2


class Lease:
    """The memory of one request. Raises ``Problem``."""

    def __init__(self, shares: Shares, caller: str) -> None:
        self._shares = shares
        self.caller = caller
        self._size = 0

    def grow(self, size: int) -> None:
        """Count ``size`` more bytes."""
        refusal = self._shares.refusal(self.caller, size)
        if refusal == "full":
            raise Problem.later("busy", "the memory for request bodies is in use", WAIT_S)
        if refusal == "share":
            held = self._shares.held(self.caller)
            raise Problem.later("too-many", f"your requests in progress already hold {held:,} bytes", WAIT_S)
        self._shares.take(self.caller, size)
        self._size += size

    def shrink(self, size: int) -> None:
        """Return ``size`` of the bytes that were counted."""
        self._shares.give_back(self.caller, size)
        self._size -= size

    def close(self) -> None:
        """Return all of it."""
        self._shares.give_back(self.caller, self._size)
        self._size = 0


class BodyMemory:
    """The memory of all requests. ``largest``: bytes of the largest body that is kept; twice that has to fit."""

    def __init__(self, largest: int) -> None:
        self.shares = Shares(max(LEAST, 2 * largest), least=PIECE)

    @contextmanager
    def lease(self, caller: str) -> Iterator[Lease]:
        """A lease for one request of this caller."""
        lease = Lease(self.shares, caller)
        try:
            yield lease
        finally:
            lease.close()


def lease_of(request: Request) -> Lease:
    """The lease of a request; one that shares nothing for a request that did not come through ``Entry``."""
    found: Lease | None = getattr(request.state, "lease", None)
    return found or Lease(Shares(LEAST), "")
