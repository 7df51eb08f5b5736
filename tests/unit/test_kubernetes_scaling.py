"""The overlays for several nodes: what is scaled and by what, spread, kept while nodes are drained, and measured."""

from __future__ import annotations

import pytest

from tests.unit.kustomize import pod
from tests.unit.manifests import each_container, labels, named, of_kind, selects, workloads


def test_disruption_budgets_allow_one_pod_of_each_process_that_there_are_several_of() -> None:
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in of_kind("production", "ScaledObject")}
    budgets = of_kind("production", "PodDisruptionBudget")
    assert {one["metadata"]["name"] for one in budgets} == scaled | {"gateway"}
    for budget in budgets:
        matching = [one for one in workloads("production") if selects(budget["spec"]["selector"], labels(one))]
        assert [one["metadata"]["name"] for one in matching] == [budget["metadata"]["name"]]
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_what_has_several_pods_in_production_is_spread() -> None:
    for workload in of_kind("production", "Deployment"):
        several = workload["metadata"]["name"] in {
            one["metadata"]["name"] for one in of_kind("production", "PodDisruptionBudget")
        }
        spec = pod(workload) or {}
        assert several == ("affinity" in spec) == ("topologySpreadConstraints" in spec)
        if several:
            (term,) = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
            assert selects(term["podAffinityTerm"]["labelSelector"], labels(workload))
            assert "app.kubernetes.io/component" in term["podAffinityTerm"]["matchLabelKeys"]


@pytest.mark.parametrize("name", ["production", "gpu", "everything"])
def test_every_queue_is_scaled_by_the_age_and_the_number_of_its_objects(name: str) -> None:
    workers = {w for one in of_kind(name, "Deployment") if (w := one["metadata"]["name"]).startswith("worker-")}
    scaled = {one["metadata"]["name"]: one["spec"] for one in of_kind(name, "ScaledObject")}
    assert set(scaled) == workers - {"worker-ingestion"}, "imports are for the one who starts them"
    for worker, spec in scaled.items():
        target = named(name, "Deployment", spec["scaleTargetRef"]["name"])
        assert target["metadata"]["name"] == worker
        assert "replicas" not in target["spec"], "every apply would set it back"
        assert 1 <= spec["minReplicaCount"] <= spec["maxReplicaCount"]
        assert spec["fallback"]["replicas"] == spec["minReplicaCount"]
        queue = worker.removeprefix("worker-")
        queries = {trigger["name"]: trigger["metadata"]["query"] for trigger in spec["triggers"]}
        assert f'wildtag_queue_oldest_seconds{{namespace="wildtag",queue="{queue}"}}' in queries["age"]
        assert f'wildtag_queue_objects{{namespace="wildtag",queue="{queue}"}}' in queries["depth"]
        for trigger in spec["triggers"]:
            assert trigger["metricType"] == "AverageValue", "a fallback needs it"
            assert trigger["metadata"]["ignoreNullValues"] == "false", "no answer is no empty queue"


def test_monitors_choose_the_ports_of_metrics() -> None:
    (pods,) = of_kind("everything", "PodMonitor")
    (service,) = of_kind("everything", "ServiceMonitor")
    assert {port["port"] for port in pods["spec"]["podMetricsEndpoints"]} == {"metrics"}
    serving = {
        w
        for w, _, one in each_container("everything")
        if "metrics" in {port["name"] for port in one.get("ports", ())}
    }
    lasting = {one["metadata"]["name"] for one in of_kind("everything", "Deployment")}
    assert serving == lasting - {"flower", "gateway"}, "these have metrics on ports of their own"
    gateway = named("everything", "Service", "gateway")
    assert selects(service["spec"]["selector"], gateway["metadata"]["labels"])
    assert {port["port"] for port in service["spec"]["endpoints"]} == {
        port["name"] for port in gateway["spec"]["ports"]
    }


def test_gpus_are_for_the_workers_that_encode_images() -> None:
    for workload, spec, container in each_container("gpu"):
        on_gpu = workload in {"worker-embedding", "worker-segmentation"}
        assert on_gpu == ("nvidia.com/gpu" in container["resources"]["limits"]) == ("tolerations" in spec)
        assert on_gpu == ({"name": "WILDTAG_DEVICE", "value": "cuda"} in container["env"])
