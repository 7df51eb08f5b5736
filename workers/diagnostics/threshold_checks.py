"""The thresholds in force, as checks of ``wildtag doctor``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from vectordb.errors import WildtagError
from workers.captions.thresholds_in_force import NOT_DERIVED, ThresholdInForce
from workers.diagnostics.check import Check


def threshold_checks(in_force: Callable[[], Sequence[ThresholdInForce]]) -> Iterator[Check]:
    """One check for each threshold: its value and whence it comes, or why it is off."""
    try:
        found = in_force()
    except (WildtagError, OSError) as exc:
        yield Check.failed("thresholds", str(exc), "correct the settings, or import the captions for this encoder")
        return
    for one in found:
        name = f"threshold {one.name}"
        if one.detail == NOT_DERIVED:
            yield Check.note(name, "off: not derived for these captions", "wildtag captions thresholds")
        elif one.value is None:
            yield Check(name, ok=True, detail=f"off: {one.detail}", numbers=one.numbers)
        else:
            numbers = {"value": one.value, **one.numbers}
            yield Check(name, ok=True, detail=f"{one.value:g}, {one.origin}: {one.detail}", numbers=numbers)
