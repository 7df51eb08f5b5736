"""Dispatchers and keepers that meet outages."""

from __future__ import annotations

SOON_S = 2.0
