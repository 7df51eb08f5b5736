"""Reads what a ``/metrics`` answers, and compares it with the catalogue."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection

from prometheus_client.parser import text_string_to_metric_families

from workers.monitoring.catalogue import CATALOGUE
from workers.monitoring.metric import Metric

OWN_LABELS = {"le"}
"""Of a histogram's buckets."""


def values(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Name of a series → its values, by the values of its labels in the order of their names."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def differences(text: str, expected: Collection[Metric], known: Collection[Metric] = CATALOGUE) -> list[str]:
    """What a text has that is not in ``known``, or has otherwise, and which of ``expected`` have no series in it."""
    metrics = {one.name: one for one in known}
    found, faults = set(), []
    for family in text_string_to_metric_families(text):
        metric = metrics.get(family.name)
        if metric is None:
            faults.append(f"{family.name} is not in the catalogue")
            continue
        if (family.type, family.documentation) != (metric.kind, metric.help):
            faults.append(f"{family.name}: {family.type}, {family.documentation}")
        for sample in family.samples:
            found.add(family.name)
            if set(sample.labels) - OWN_LABELS != set(metric.labels):
                faults.append(f"{sample.name} has the labels {sorted(sample.labels)}")
            if sample.name.endswith("_created"):
                faults.append(f"{sample.name} is noise")
    return faults + [f"{one.name} is missing" for one in expected if one.name not in found]


def promtool_says(text: str) -> str:
    """What ``promtool check metrics`` has against a text; empty if nothing. Fails if promtool is missing."""
    promtool = shutil.which("promtool")
    assert promtool, "install Prometheus: its promtool checks metrics"
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False
    )
    return done.stdout + done.stderr
