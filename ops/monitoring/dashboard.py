"""Writes Grafana's dashboard: ``python -m ops.monitoring.dashboard``. A test compares it with its file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ops.monitoring.flow_panels import KEEPING_UP, TIME
from ops.monitoring.panel import Panel
from ops.monitoring.state_panels import BUCKET, COST, FAILURES

FILE = Path(__file__).parent / "grafana" / "dashboards" / "wildtag.json"
ROWS = (
    ("Are we keeping up?", KEEPING_UP),
    ("Where does time go?", TIME),
    ("What fails, and why?", FAILURES),
    ("What does an image cost?", COST),
    ("What is in the bucket?", BUCKET),
)  # in the order in which an operator asks
COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA = 41  # of Grafana 12.0; later ones migrate it
COLOURS = ("green", "orange", "red")


def text() -> str:
    """The text of the dashboard's file."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


def dashboard() -> dict[str, Any]:
    """The dashboard, as Grafana reads it from a file."""
    return {
        "uid": "wildtag", "title": "wildtag", "tags": ["wildtag"], "schemaVersion": SCHEMA, "version": 1,
        "description": "Are we keeping up, where does time go, what fails and why, what does an image cost, and what"
        " is in the bucket?",
        "editable": True, "graphTooltip": 1, "refresh": "30s", "timezone": "browser", "preload": False,
        "time": {"from": "now-3h", "to": "now"}, "fiscalYearStartMonth": 0, "annotations": {"list": [_alerts()]},
        "links": [], "templating": {"list": [_variable()]}, "panels": _laid_out(),
    }  # fmt: skip


def _variable() -> dict[str, Any]:
    return {
        "name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus", "current": {},
        "hide": 0, "includeAll": False, "multi": False, "options": [], "refresh": 1, "regex": "",
    }  # fmt: skip


def _alerts() -> dict[str, Any]:
    """Marks the times at which an alert of wildtag fired."""
    return {
        "name": "Alerts", "datasource": SOURCE, "enable": True, "hide": False, "iconColor": "red",
        "expr": 'ALERTS{alertname=~"Wildtag.+",alertstate="firing"}', "step": "60s",
        "titleFormat": "{{alertname}}", "textFormat": "{{name}}{{stage}}{{source}}",
    }  # fmt: skip


def _laid_out() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    y = 0
    for title, content in ROWS:
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
        )
        y += 1
        for line in _lines(content):
            x = 0
            for one in line:
                panels.append(_panel(one, len(panels) + 1, {"x": x, "y": y, "w": one.width, "h": one.height}))
                x += one.width
            y += max(one.height for one in line)
    return panels


def _lines(content: Sequence[Panel]) -> list[list[Panel]]:
    """Panels as they stand beside each other."""
    lines: list[list[Panel]] = [[]]
    for one in content:
        if sum(each.width for each in lines[-1]) + one.width > COLUMNS:
            lines.append([])
        lines[-1].append(one)
    return lines


def _panel(one: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    single = one.kind != "timeseries"
    targets = [
        {
            "refId": chr(ord("A") + index), "datasource": SOURCE, "expr": query.expr, "editorMode": "code",
            "legendFormat": query.legend or "__auto", "instant": single, "range": not single,
            "format": "table" if one.kind == "table" else "time_series",
        }
        for index, query in enumerate(one.queries)
    ]  # fmt: skip
    return {
        "id": number, "type": one.kind, "title": one.title, "description": one.about, "gridPos": place,
        "datasource": SOURCE, "targets": targets, "options": _options(one),
        "fieldConfig": {"defaults": _defaults(one), "overrides": []},
        "transformations": [{"id": "merge", "options": {}}] if one.kind == "table" else [],
    }  # fmt: skip


def _defaults(one: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": COLOURS[0], "value": None}]
    colours = COLOURS[1:] if len(one.thresholds) > 1 else COLOURS[2:]
    steps += [
        {"color": colour, "value": value} for colour, value in zip(colours, one.thresholds, strict=False)
    ]  # fmt: skip
    custom: dict[str, Any] = {}
    if one.kind == "timeseries":
        custom = {
            "drawStyle": "line", "lineWidth": 1, "fillOpacity": 25 if one.stacked else 5, "showPoints": "never",
            "spanNulls": False, "stacking": {"mode": "normal" if one.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "line" if one.thresholds else "off"},
        }  # fmt: skip
    return {
        "unit": one.unit, "min": 0, "custom": custom, "mappings": [],
        "color": {"mode": "palette-classic" if one.kind == "timeseries" else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
    }  # fmt: skip


def _options(one: Panel) -> dict[str, Any]:
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    options: dict[str, dict[str, Any]] = {
        "timeseries": {
            "legend": {
                "displayMode": "table",
                "placement": "bottom",
                "showLegend": True,
                "calcs": ["lastNotNull", "max"],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "stat": {"reduceOptions": last, "colorMode": "value", "graphMode": "none", "textMode": "auto"},
        "bargauge": {"reduceOptions": last, "orientation": "horizontal", "displayMode": "basic"},
        "table": {"showHeader": True, "cellHeight": "sm"},
    }
    return options[one.kind]


if __name__ == "__main__":
    FILE.write_text(text())
