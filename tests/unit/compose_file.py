"""The Compose file and the example of its env file, as the tests read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


COMPOSE = ROOT / "docker-compose.yml"


TEXT = COMPOSE.read_text()


FILE: dict[str, Any] = yaml.safe_load(TEXT)


GPU = ROOT / "docker-compose.gpu.yml"


GPU_TEXT = GPU.read_text()


GPU_SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(GPU_TEXT)["services"]


SERVICES: dict[str, dict[str, Any]] = FILE["services"]


OURS = {name for name, service in SERVICES.items() if service["image"].startswith("wildtag:")}


# those whose end others wait for: they have no health, and are not begun again once they were right
ONE_SHOTS = {
    name
    for service in SERVICES.values()
    for name, on in service.get("depends_on", {}).items()
    if on["condition"] == "service_completed_successfully"
}


LASTING = set(SERVICES) - ONE_SHOTS


VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?::(?P<how>[-?])(?P<rest>[^}]*))?\}")


LETTERS = "abcdefgh12345678"


def unset() -> list[str]:
    """Those that a person must give a value."""
    return re.findall(r"^([A-Z][A-Z0-9_]*)=$", (ROOT / ".env.example").read_text(), re.MULTILINE)


def filled() -> dict[str, str]:
    """What a person puts into .env."""
    return {name: f"me:{LETTERS}" if name.endswith("_AUTH") else LETTERS for name in unset()}


def interpolated(value: object, given: Mapping[str, str]) -> str:
    """A value as Compose hands it on."""

    def one(found: re.Match[str]) -> str:
        return given.get(found["name"]) or (found["rest"] if found["how"] == "-" else "")

    return VARIABLE.sub(one, str(value)).replace("$$", "$")


def environment(service: str, given: Mapping[str, str]) -> dict[str, str]:
    """Of a service, as Compose makes it: a name without a value is passed on where it is given, and else left out."""
    return {
        name: given[name] if value is None else interpolated(value, given)
        for name, value in SERVICES[service].get("environment", {}).items()
        if value is not None or name in given
    }


def seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)s", text)
    assert found, text
    return float(found[1])
