"""The manifests of `ops/kubernetes` as its overlays make them, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.unit.kustomize import WORKLOADS, Resource, containers, pod, rendered

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "ops" / "kubernetes"
DATA = ROOT / "tests" / "data" / "kubernetes"
OVERLAYS = {file.parent.name: file.parent for file in (FOLDER / "overlays").glob("*/kustomization.yaml")} | {
    "everything": DATA / "everything"
}


@cache
def overlay(name: str) -> list[Resource]:
    return rendered(OVERLAYS[name])


def of_kind(name: str, *kinds: str) -> list[Resource]:
    return [one for one in overlay(name) if one["kind"] in kinds]


def workloads(name: str) -> list[Resource]:
    return of_kind(name, *WORKLOADS)


def named(name: str, kind: str, resource: str) -> Resource:
    (found,) = (one for one in of_kind(name, kind) if one["metadata"]["name"] == resource)
    return found


def each_container(name: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name of the workload, its pods' specification, and a container."""
    for one in workloads(name):
        for container in containers(one):
            yield one["metadata"]["name"], pod(one) or {}, container


def labels(workload: Resource) -> dict[str, str]:
    """Of the pods of a workload."""
    return dict(workload["spec"]["template"]["metadata"]["labels"])


def selects(selector: dict[str, Any], given: dict[str, str]) -> bool:
    """Whether a label selector of Kubernetes chooses these labels."""
    assert set(selector) <= {"matchLabels", "matchExpressions"}
    for expression in selector.get("matchExpressions", ()):
        assert expression["operator"] == "In"
        if given.get(expression["key"]) not in expression["values"]:
            return False
    return all(given.get(key) == value for key, value in selector.get("matchLabels", {}).items())
