"""Writes ``ops/openapi.json``, the gateway's specification: ``python -m ops.openapi``. A test compares the two."""

from __future__ import annotations

import json
from pathlib import Path

from workers.gateway.app import create_app
from workers.gateway.services import Options
from workers.settings.settings import Settings
from workers.wiring.gateway import services
from workers.wiring.wiring import Wiring

FILE = Path(__file__).with_suffix(".json")


def text() -> str:
    """The text of the specification file. Opens no connection."""
    app = create_app(services(Wiring(Settings())), Options(bucket="inbox"))
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
