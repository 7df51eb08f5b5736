"""The command line: ``wildtag``. Each module holds commands that belong together."""

from __future__ import annotations

from workers.cli.main import app

__all__ = ["app"]
