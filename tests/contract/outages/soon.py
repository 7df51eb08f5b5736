"""How many seconds after the end of an outage work goes on."""

from __future__ import annotations

SOON_S = 2.0
