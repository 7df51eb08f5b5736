"""The table of measured figures, from the file that ``wildtag size`` reads."""

from __future__ import annotations

from ops.reference.markdown import code, table
from workers.diagnostics.sizing import figures


def sizing() -> str:
    """A row for each figure."""
    rows = (
        (code(name), f"{one.value:,.10g} {one.unit}", one.what, one.where if one.measured else f"*{one.where}*")
        for name, one in figures().items()
    )
    return table(("figure", "value", "of", "where it was measured"), rows)
