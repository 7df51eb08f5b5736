"""The deadlines of the ledger, in Unix seconds."""

from __future__ import annotations

import math

LONGEST_S = 3600.0  # by which a deadline may be later than that of what is sent now, as for a file that grows
FAR_S = 10.0  # from this on, a deadline may be later by less than a second


def whole(deadline: float, now: float) -> float:
    """A deadline that is not near, in whole seconds: later by less than one.

    Redis keeps a list of some hundred objects as text, and numbers with a fraction take it ten times as long to read.
    """
    return math.ceil(deadline) if deadline - now >= FAR_S else deadline
