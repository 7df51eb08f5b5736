"""The rules, the alerts and the dashboard as tests read them, and Debian's Prometheus."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from workers.monitoring.catalogue import CATALOGUE

MONITORING = Path(__file__).parents[1] / "ops" / "monitoring"
CASES = sorted((MONITORING / "tests").glob("*.yml"))
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "grafana" / "dashboards" / "wildtag.json").read_text())
NAME = re.compile(r"\bwildtag_[a-z_]+")


def program(name: str) -> str | None:
    """``prometheus`` or ``promtool``."""
    return shutil.which(name)


def rules(kind: str) -> dict[str, dict[str, Any]]:
    """Recording rules (``record``) or alerts (``alert``) by name."""
    found: dict[str, dict[str, Any]] = {}
    for file in sorted((MONITORING / "rules").glob("*.yml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                if kind in rule:
                    assert rule[kind] not in found, f"{rule[kind]} is there twice"
                    found[rule[kind]] = rule
    return found


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard, without the rows."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Every query of rules, alerts and the dashboard, with where it stands."""
    for kind in ("record", "alert"):
        for name, rule in rules(kind).items():
            yield f"{kind} {name}", rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield f"panel {panel['title']}, {target['refId']}", target["expr"]


def names(expr: str) -> set[str]:
    """The metrics of wildtag that a query reads, as they are exposed."""
    return set(NAME.findall(expr))


def exposed() -> dict[str, bool]:
    """Every series name that wildtag exposes; whether it may have no series while all is well."""
    found: dict[str, bool] = {}
    for metric in CATALOGUE:
        forms = [metric.exposed]
        if metric.kind == "histogram":
            forms = [f"{metric.name}_{suffix}" for suffix in ("bucket", "sum", "count")]
        found |= dict.fromkeys(forms, metric.occasional)
    return found
