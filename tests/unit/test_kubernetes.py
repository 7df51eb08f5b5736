"""The manifests in `ops/kubernetes`: Kubernetes accepts them, and a linter would have nothing to say.

`kubernetes-validate` has the schemas of Kubernetes itself. The other tests ask what kube-linter asks by default
(https://github.com/stackrox/kube-linter, docs/generated/checks.md), which is a program that is not installed here:
dangling-service, deprecated-service-account-field, docker-sock, drop-net-raw-capability, duplicate-env-var,
env-var-secret, host-ipc, host-network, host-pid, invalid-target-ports, job-ttl-seconds-after-finished, latest-tag,
liveness-port, mismatching-selector, no-anti-affinity, no-extensions-v1beta, no-read-only-root-fs,
non-existent-service-account, pdb-max-unavailable, pdb-min-available, pdb-unhealthy-pod-eviction-policy,
privilege-escalation-container, privileged-container, readiness-port, run-as-non-root, sensitive-host-mounts,
ssh-port, startup-port, unsafe-sysctls, unset-cpu-requirements, unset-memory-requirements; and of its optional ones:
access to service account tokens, dangling Ingresses and network policies, non-isolated pods, probes, and seccomp.
"""

from __future__ import annotations

import copy
import re
import tomllib
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types
import kubernetes_validate  # type: ignore[import-untyped]  # the same
import pytest
import yaml

from tests.unit.kustomize import containers, identity, pod
from tests.unit.manifests import (
    DATA,
    FOLDER,
    OVERLAYS,
    ROOT,
    each_container,
    labels,
    named,
    of_kind,
    overlay,
    selects,
    workloads,
)

SUPPORTED = ("1.31", "1.37")
"""The oldest version of Kubernetes that docs/how-to/kubernetes.md names, and the newest with schemas."""

CUSTOM: dict[str, Any] = yaml.safe_load((DATA / "custom-resources.yaml").read_text())

over_all = pytest.mark.parametrize("name", sorted(OVERLAYS))


def validate(resource: dict[str, Any], version: str) -> None:
    schema = CUSTOM.get(f"{resource['apiVersion']}/{resource['kind']}")
    if schema is not None:
        jsonschema.validate(resource, schema, cls=jsonschema.Draft202012Validator)
    else:
        kubernetes_validate.validate(resource, version, strict=True)


@over_all
@pytest.mark.parametrize("version", SUPPORTED)
def test_kubernetes_accepts_every_manifest(name: str, version: str) -> None:
    for resource in overlay(name):
        validate(resource, version)


def test_a_misspelt_field_is_refused() -> None:
    for kind, resource in (("Deployment", "gateway"), ("ScaledObject", "worker-embedding")):
        wrong = copy.deepcopy(named("everything", kind, resource))
        wrong["spec"]["replica"] = 1
        with pytest.raises(jsonschema.ValidationError, match="replica"):
            validate(wrong, SUPPORTED[0])


def test_the_oldest_supported_version_is_documented() -> None:
    assert f"Kubernetes {SUPPORTED[0]} or newer" in (ROOT / "docs" / "how-to" / "kubernetes.md").read_text()


def test_every_component_is_in_an_overlay_or_in_everything() -> None:
    used = {
        path.rpartition("/")[2]
        for folder in OVERLAYS.values()
        for path in yaml.safe_load((folder / "kustomization.yaml").read_text())["components"]
    }
    assert used == {file.parent.name for file in (FOLDER / "components").glob("*/kustomization.yaml")}


def test_every_manifest_is_used() -> None:
    named_by: set[str] = set()
    for file in FOLDER.rglob("kustomization.yaml"):
        kustomization = yaml.safe_load(file.read_text())
        paths = [*kustomization.get("resources", ()), *(patch["path"] for patch in kustomization.get("patches", ()))]
        named_by |= {str((file.parent / path).relative_to(FOLDER)) for path in paths if path.endswith(".yaml")}
    files = {str(file.relative_to(FOLDER)) for file in FOLDER.rglob("*.yaml")}
    assert named_by == {file for file in files if not file.endswith("kustomization.yaml")}


@over_all
def test_everything_is_in_the_namespace_which_enforces_the_restricted_standard(name: str) -> None:
    for resource in overlay(name):
        if resource["kind"] == "Namespace":
            assert resource["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        else:
            assert resource["metadata"]["namespace"] == "wildtag", identity(resource)


@over_all
def test_every_pod_is_confined(name: str) -> None:
    accounts = {one["metadata"]["name"] for one in of_kind(name, "ServiceAccount")}
    for workload in workloads(name):
        spec = pod(workload) or {}
        assert not set(spec) & {"hostNetwork", "hostPID", "hostIPC", "serviceAccount"}
        assert "sysctls" not in spec["securityContext"]
        assert spec["serviceAccountName"] in accounts
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False, "WILDTAG_… of a Service would be taken for settings"
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == 10001
        for container in containers(workload):
            assert container["securityContext"] == {
                "runAsNonRoot": True, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip


@over_all
def test_every_volume_has_one_source_a_limit_and_a_mount(name: str) -> None:
    claims = {one["metadata"]["name"] for one in of_kind(name, "PersistentVolumeClaim")}
    for workload in workloads(name):
        volumes = {
            one["name"]: {k: v for k, v in one.items() if k != "name"} for one in (pod(workload) or {})["volumes"]
        }
        for volume in volumes.values():
            ((kind, source),) = volume.items()
            assert kind in {"emptyDir", "persistentVolumeClaim"}
            assert source["sizeLimit"] if kind == "emptyDir" else source["claimName"] in claims
        made = {one["metadata"]["name"] for one in workload["spec"].get("volumeClaimTemplates", ())}
        mounted = {mount["name"] for container in containers(workload) for mount in container["volumeMounts"]}
        assert mounted == set(volumes) | made, identity(workload)


@over_all
def test_every_container_requests_and_limits_what_it_takes(name: str) -> None:
    """A limit of CPU would only slow down a process that nobody competes with; requests share a busy node."""
    for workload, _, container in each_container(name):
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert {"cpu", "memory"} <= set(requests), workload
        assert "memory" in limits, workload
        assert "cpu" not in limits, workload
        assert quantity(requests["memory"]) <= quantity(limits["memory"]), workload


def quantity(text: str) -> float:
    """Bytes of a quantity of Kubernetes."""
    found = re.fullmatch(r"(\d+)(Mi|Gi)", text)
    assert found, text
    return float(found[1]) * {"Mi": 2.0**20, "Gi": 2.0**30}[found[2]]


@over_all
def test_images_are_pinned_and_wildtags_has_the_version_of_this_tree(name: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for workload, _, container in each_container(name):
        assert re.fullmatch(
            r"[\w.]+\.(?:io|org)/[\w/-]+(?::v?\d+\.\d+\.\d+[\w-]*|@sha256:[0-9a-f]{64})", container["image"]
        )
        if container["name"] == "wildtag":
            on_gpu = "nvidia.com/gpu" in container["resources"]["limits"]
            tag = f"{version}-cuda" if on_gpu else version
            assert container["image"] == f"registry.example.org/wildtag:{tag}", workload
        assert container["imagePullPolicy"] == "IfNotPresent"


@over_all
def test_selectors_choose_the_pods_they_mean(name: str) -> None:
    given = {identity(one): labels(one) for one in workloads(name)}
    for one in of_kind(name, "Deployment", "StatefulSet"):
        chosen = [known for known, pods in given.items() if selects(one["spec"]["selector"], pods)]
        assert chosen == [identity(one)]
    for service in of_kind(name, "Service"):
        matching = [
            one for one in workloads(name) if selects({"matchLabels": service["spec"]["selector"]}, labels(one))
        ]
        assert [one["metadata"]["name"] for one in matching] == [service["metadata"]["name"]]
        ports = {
            port["name"]: port["containerPort"]
            for container in containers(matching[0])
            for port in container["ports"]
        }
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]
        assert "type" not in service["spec"], "reached by an Ingress only"
    for policy in of_kind(name, "NetworkPolicy"):
        assert any(selects(policy["spec"]["podSelector"], pods) for pods in given.values()), identity(policy)


@over_all
def test_labels_of_a_workload_are_those_of_its_pods(name: str) -> None:
    """Patches are chosen by the former, network policies by the latter."""
    for workload in workloads(name):
        assert workload["metadata"]["labels"] == labels(workload)


@over_all
def test_an_ingress_leads_to_a_service_by_tls(name: str) -> None:
    services = {one["metadata"]["name"]: one for one in of_kind(name, "Service")}
    for ingress in of_kind(name, "Ingress"):
        hosts = {host for tls in ingress["spec"]["tls"] for host in tls["hosts"]}
        for rule in ingress["spec"]["rules"]:
            assert rule["host"] in hosts
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                assert backend["port"]["name"] in {
                    port["name"] for port in services[backend["name"]]["spec"]["ports"]
                }


@over_all
def test_probes_ask_ports_that_there_are_and_everything_that_lasts_has_all_three(name: str) -> None:
    for workload in of_kind(name, "Deployment", "StatefulSet"):
        for container in containers(workload):
            ports = {port["name"] for port in container["ports"]}
            assert 22 not in {port["containerPort"] for port in container["ports"]}
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                probe = container[kind]
                asked = probe.get("httpGet") or probe.get("tcpSocket")
                assert asked["port"] in ports if asked else probe["exec"]["command"][0] == "sh"
                assert not re.search(r"\b(?:python|wildtag)\b", str(probe.get("exec")))


@over_all
def test_variables_have_one_value_and_no_secret_is_written_down(name: str) -> None:
    for workload, _, container in each_container(name):
        names = [variable["name"] for variable in container["env"]]
        assert len(names) == len(set(names)), workload
        for variable in container["env"]:
            if re.search(r"SECRET|PASSWORD|TOKEN|_KEY$|_AUTH$|REDIS_URL|BROKER_URL", variable["name"]):
                assert "secretKeyRef" in variable["valueFrom"], variable
    assert not of_kind(name, "Secret"), "secrets are applied by themselves"


def test_jobs_end_and_are_removed() -> None:
    for job in of_kind("everything", "Job"):
        assert job["spec"]["backoffLimit"] > 0
        assert job["spec"]["ttlSecondsAfterFinished"] > 0
        assert (pod(job) or {})["restartPolicy"] == "OnFailure"
