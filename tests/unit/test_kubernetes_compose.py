"""On Kubernetes runs what docker-compose.yml runs: the same commands, settings, limits, checks and ways out."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.compose_file import FILE, GPU_SERVICES, ONE_SHOTS, SERVICES, interpolated, seconds
from tests.unit.kustomize import containers, pod
from tests.unit.manifests import labels, named, of_kind, selects, workloads
from tests.unit.test_kubernetes import quantity
from workers.settings.process_environment import needed
from workers.settings.secret_settings import SECRETS
from workers.settings.settings import Settings
from workers.settings.variables import variable

NOT_HERE = {
    "grafana": "a cluster has its own",
    "minio": "the object store is another installation",
    "prometheus": "a cluster has its own; components/monitoring says what it scrapes",
    "setup-user": "it creates a user of MinIO, whose administrator is known to that installation",
    "volumes": "fsGroup gives volumes to wildtag's user",
}
"""Services of Compose without a counterpart, and why."""

NOT_THERE = {"setup-model": "`docker compose run` downloads a model, as .env.example says"}
"""Workloads without a service of Compose, and why."""

OTHER_ARGUMENTS = {
    "setup-bucket": "the bucket is that of the settings, and another namespace reaches the gateway by its full name",
}

OTHER_VARIABLES = {
    "WILDTAG_BROKER_URL": "in docker-compose.rabbitmq.yml; an optional key of a Secret here",
    "WILDTAG_METRICS_HOST": "network policies say who reaches it",
    "WILDTAG_METRICS_PORT": "the port that monitors and network policies name",
    "WILDTAG_QDRANT_CA_FILE": "the Qdrant of production may be reached by TLS",
    "WILDTAG_THREADS": "by default a model uses all cores, here those that its pod requests",
}
"""Variables that one of both has only, and why."""

OTHER_VALUES = {
    "WILDTAG_S3_ENDPOINT": "the object store is in another namespace",
    "WILDTAG_THREADS": OTHER_VARIABLES["WILDTAG_THREADS"],
}
"""Variables that have another value here, and why."""

COMMON = sorted(set(SERVICES) - set(NOT_HERE))


def workload(service: str) -> dict[str, Any]:
    (found,) = (one for one in workloads("everything") if one["metadata"]["name"] == service)
    return found


def container(service: str) -> dict[str, Any]:
    (found,) = containers(workload(service))
    return found


def settings_map(name: str, overlay: str = "everything") -> dict[str, str]:
    return dict(named(overlay, "ConfigMap", name)["data"])


def variables(service: str) -> dict[str, str]:
    """As the pods of a workload get them; a secret by its name, and without those that nobody set."""
    found: dict[str, str] = {}
    for source in container(service).get("envFrom", ()):
        found |= settings_map(source["configMapRef"]["name"])
    for one in container(service)["env"]:
        if "value" in one:
            found[one["name"]] = one["value"]
            continue
        ((kind, source),) = one["valueFrom"].items()
        if kind == "configMapKeyRef":
            known = settings_map(source["name"])
            assert source["key"] in known or source["optional"]
            if source["key"] in known:
                found[one["name"]] = known[source["key"]]
        else:
            found[one["name"]] = f"{kind} {source.get('name', '')}"
    return found


def names(service: str) -> set[str]:
    return {one["name"] for one in container(service)["env"]}


def test_every_service_runs_here_too_or_is_left_out_with_a_reason() -> None:
    assert {one["metadata"]["name"] for one in workloads("everything")} == set(COMMON) | set(NOT_THERE)
    kinds = {one["metadata"]["name"]: one["kind"] for one in workloads("everything")}
    assert {name for name, kind in kinds.items() if kind == "Job"} == (ONE_SHOTS & set(COMMON)) | set(NOT_THERE)


@pytest.mark.parametrize("service", COMMON)
def test_the_command_is_the_same(service: str) -> None:
    given = [interpolated(part, {}) for part in SERVICES[service].get("command", [])]
    if service in OTHER_ARGUMENTS:
        bucket = given.index("--bucket")
        given = given[:bucket] + given[bucket + 2 :]
        given = [part.replace("//gateway:", "//gateway.wildtag.svc:") for part in given]
    assert container(service).get("args", container(service).get("command", [])) == given


@pytest.mark.parametrize("service", COMMON)
def test_the_variables_are_the_same(service: str) -> None:
    ours = names(service) - set(OTHER_VARIABLES)
    theirs = set(SERVICES[service].get("environment", {})) - set(FILE["x-settings"]) - set(OTHER_VARIABLES)
    if service in {"redis", "qdrant"}:
        theirs = set(SERVICES[service]["environment"]) - set(OTHER_VARIABLES)
    else:
        ours -= set(FILE["x-settings"])  # any of them may be in the map that all processes read
        assert container(service)["envFrom"] == [{"configMapRef": {"name": "wildtag-settings"}}]
    assert ours == theirs


@pytest.mark.parametrize("service", COMMON)
def test_the_values_are_the_same(service: str) -> None:
    theirs = SERVICES[service].get("environment", {})
    for name, value in variables(service).items():
        if name in theirs and not value.startswith("secretKeyRef") and name not in OTHER_VALUES:
            assert name in ADDED or value == interpolated(theirs[name], {}), name


ADDED = {
    "WILDTAG_ENCODER": "components/model",
    "WILDTAG_IN_FLIGHT_MAX": "overlays/production",
    "WILDTAG_TRUSTED_PROXIES": "components/ingress",
    "WILDTAG_FLOWER_URL": "components/ingress",
}
"""Settings that a component or an overlay gives a value."""


def test_settings_for_all_have_compose_s_defaults_and_hold_no_secret() -> None:
    base = settings_map("wildtag-settings", "single-node")
    for name, value in base.items():
        assert value == interpolated(FILE["x-settings"][name], {}), name
    for overlay in ("everything", "production", "gpu"):
        more = set(settings_map("wildtag-settings", overlay)) - set(base)
        assert more <= set(ADDED) & set(FILE["x-settings"])
    given = {name for name, value in FILE["x-settings"].items() if value is not None}
    assert set(base) == given
    assert not {name for name in base if Settings.is_secret(name)}


@pytest.mark.parametrize("service", COMMON)
def test_the_settings_are_right(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {variable(name) for name in Settings.model_fields}
    given = {name: value for name, value in variables(service).items() if name.startswith("WILDTAG_")}
    assert set(given) <= known | set(OTHER_VARIABLES)
    for name, value in given.items():
        if name in known and " " not in value:  # not a reference to a secret
            monkeypatch.setenv(name, value)
    Settings()


@pytest.mark.parametrize("service", sorted(set(COMMON) - {"redis", "qdrant"}))
def test_every_secret_is_told_only_to_those_who_use_it(service: str) -> None:
    process = {"setup-captions": "prepare"}.get(service, service)
    told = {one["name"] for one in container(service)["env"] if "secretKeyRef" in one.get("valueFrom", {})}
    assert told - {"HF_TOKEN"} == {variable(name) for name in needed(process)}
    assert ("HF_TOKEN" in told) == (service in {"setup-captions", "next-feeder"})
    assert not {variable(name) for name in SECRETS} & (names(service) - told)
    own = {one["valueFrom"]["secretKeyRef"]["name"] for one in container(service)["env"] if one["name"] in told}
    assert ("wildtag-store-admin" in own) == (service == "setup-bucket")


@pytest.mark.parametrize("service", COMMON)
def test_it_has_the_same_limit_of_memory(service: str) -> None:
    limit = interpolated(SERVICES[service]["deploy"]["resources"]["limits"]["memory"], {})
    assert quantity(container(service)["resources"]["limits"]["memory"]) == quantity(
        re.sub(r"[mg]$", lambda unit: f"{unit[0].upper()}i", limit)
    )


def test_a_gpu_worker_has_the_same_limit_of_memory() -> None:
    for name in ("worker-embedding", "worker-segmentation"):
        limit = interpolated(GPU_SERVICES[name]["deploy"]["resources"]["limits"]["memory"], {})
        (gpu,) = containers(named("gpu", "Deployment", name))
        assert gpu["resources"]["limits"]["memory"] == limit.replace("g", "Gi")


@pytest.mark.parametrize("service", sorted(set(COMMON) - ONE_SHOTS))
def test_health_is_asked_for_in_the_same_way(service: str) -> None:
    check, ours = SERVICES[service]["healthcheck"], container(service)
    how, *words = [interpolated(word, {}) for word in check["test"]]
    ready = ours["readinessProbe"]
    if "httpGet" in ready:
        port, path = words[-2:]
        assert ready["httpGet"] == {"path": path, "port": "http"}
        assert {"name": "http", "containerPort": int(port)} in ours["ports"]
    elif how == "CMD-SHELL":
        assert ready["exec"]["command"] == ["sh", "-c", *words]
    else:
        assert ready["exec"]["command"] == words
        assert ours["startupProbe"]["exec"] == ours["livenessProbe"]["exec"] == ready["exec"]
    assert ready["timeoutSeconds"] == seconds(check["timeout"])
    assert ready["periodSeconds"] == seconds(check["interval"])
    first, alive = ours["startupProbe"], ours["livenessProbe"]
    assert first["failureThreshold"] * first["periodSeconds"] >= seconds(check["start_period"])
    assert alive["failureThreshold"] * alive["periodSeconds"] >= check["retries"] * seconds(check["interval"])


@pytest.mark.parametrize("service", sorted(set(COMMON) - ONE_SHOTS))
def test_a_stop_has_the_same_time(service: str) -> None:
    grace = (pod(workload(service)) or {})["terminationGracePeriodSeconds"]
    before = container(service).get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
    assert before[0] == "sleep"
    assert grace - int(before[1]) == seconds(SERVICES[service]["stop_grace_period"])


def test_there_is_one_of_each_process_that_must_be_alone() -> None:
    for name in ("dispatcher", "reconcile", "writer", "notifier", "flower"):
        one = named("everything", "Deployment", name)
        assert (one["spec"]["replicas"], one["spec"]["strategy"]) == (1, {"type": "Recreate"})


def test_images_of_others_are_those_of_compose() -> None:
    for service in ("redis", "qdrant"):
        assert container(service)["image"] == interpolated(SERVICES[service]["image"], {})


def test_the_home_is_read_only_for_the_same_processes() -> None:
    for service in COMMON:
        mounts = {mount["mountPath"]: mount for mount in container(service)["volumeMounts"]}
        theirs = [mount for mount in SERVICES[service].get("volumes", ()) if str(mount).startswith("home:")]
        if theirs and "/var/lib/wildtag" in mounts:
            assert mounts["/var/lib/wildtag"].get("readOnly", False) == theirs[0].endswith(":ro"), service


def reaches(name: str, overlay: str) -> set[str]:
    """The pods with a policy whose egress leads beyond the cluster, or to another namespace."""
    outside = set()
    for policy in of_kind(overlay, "NetworkPolicy"):
        peers = [peer for rule in policy["spec"].get("egress", ()) for peer in rule["to"]]
        if any(name in peer for peer in peers):
            outside |= {
                one["metadata"]["name"]
                for one in workloads(overlay)
                if selects(policy["spec"]["podSelector"], labels(one))
            }
    return outside


def test_who_needs_no_way_out_has_none() -> None:
    published = {name for name, service in SERVICES.items() if "ports" in service}
    outside = {name for name, service in SERVICES.items() if "outside" in service["networks"]} - published
    assert reaches("ipBlock", "everything") == outside | set(NOT_THERE)
    store = {one["metadata"]["name"] for one in workloads("production") if "wildtag/reaches-store" in labels(one)}
    assert reaches("ipBlock", "production") == store | {"setup-captions"}


@pytest.mark.parametrize(
    ("label", "setting"),
    [("redis", "WILDTAG_REDIS_URL"), ("store", "WILDTAG_S3_ENDPOINT"), ("captions", "WILDTAG_QDRANT_URL")],
)
def test_a_pod_reaches_the_servers_of_which_it_has_an_address(label: str, setting: str) -> None:
    for one in workloads("everything"):
        name = one["metadata"]["name"]
        assert (f"wildtag/reaches-{label}" in labels(one)) == (setting in names(name)), name
        if name in SERVICES:
            assert (setting in names(name)) == (setting in SERVICES[name].get("environment", {})), name


@pytest.mark.parametrize("overlay", ["single-node", "production", "gpu", "everything"])
def test_what_no_policy_allows_is_refused(overlay: str) -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(overlay, "NetworkPolicy")}
    assert policies["refuse-by-default"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, policy in policies.items():
        for rule in [*policy.get("ingress", ()), *policy.get("egress", ())]:
            assert rule["ports"], f"{name} allows every port"
            assert rule.get("from") or rule.get("to"), f"{name} allows everybody"
            for peer in [*rule.get("from", ()), *rule.get("to", ())]:
                assert "169.254.0.0/16" in peer.get("ipBlock", {"except": ["169.254.0.0/16"]})["except"]
