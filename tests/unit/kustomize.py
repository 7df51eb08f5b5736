"""What Kustomize makes of a folder, for the few features that `ops/kubernetes` uses.

``rendered`` raises ``Unsupported`` for all others, so it never ignores one. Strategic merges: dictionaries merge,
``null`` removes, lists with a merge key of Kubernetes' API merge by it, and all other lists are replaced; see
<https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/patches/>. Lists that merge have no order here.

``kubectl kustomize FOLDER | python -m tests.unit.kustomize FOLDER`` compares this with Kustomize itself.
"""

from __future__ import annotations

import copy
import re
import sys
from pathlib import Path
from typing import Any

import yaml

Resource = dict[str, Any]

KNOWN = {"apiVersion", "kind", "namespace", "resources", "components", "patches", "images", "replicas"}
CLUSTERED = {"Namespace"}
WORKLOADS = {"Deployment", "StatefulSet", "Job"}

MERGE_KEYS = {
    "containers": "name", "initContainers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath",
    "topologySpreadConstraints": "topologyKey", "ports": "containerPort",
}  # fmt: skip
"""Of the lists of pods that merge, from Kubernetes' API reference ("patch strategy: merge on key")."""


class Unsupported(Exception):
    """A feature of Kustomize that this does not know."""


def documents(file: Path) -> list[Resource]:
    return [one for one in yaml.safe_load_all(file.read_text()) if one]


def rendered(folder: Path) -> list[Resource]:
    """The resources of a folder with a ``kustomization.yaml``, in no order."""
    return _applied(folder, [])


def merged(kind: str, old: Any, patch: Any, name: str = "") -> Any:
    """A strategic merge of a patch into a value of a resource of this kind; ``name``: of the field."""
    if isinstance(patch, dict):
        if "$patch" in patch:
            raise Unsupported("$patch")
        known = old if isinstance(old, dict) else {}
        new = {**known, **{key: merged(kind, known.get(key), value, key) for key, value in patch.items()}}
        return {key: value for key, value in new.items() if value is not None}
    key = MERGE_KEYS.get(name) if kind in WORKLOADS else None
    if isinstance(patch, list) and key is not None and isinstance(old, list):
        found = {one[key]: one for one in old}
        for one in patch:
            found[one[key]] = merged(kind, found.get(one[key]), one)
        return list(found.values())
    return copy.deepcopy(patch)


def _applied(folder: Path, given: list[Resource]) -> list[Resource]:
    (file,) = documents(folder / "kustomization.yaml")
    if unknown := set(file) - KNOWN:
        raise Unsupported(f"{', '.join(sorted(unknown))} in {folder}")
    found = list(given)
    for path in file.get("resources", ()):
        there = folder / path
        found += rendered(there) if there.is_dir() else documents(there)
    for path in file.get("components", ()):
        found = _applied(folder / path, found)
    identities = [identity(one) for one in found]
    if twice := {one for one in identities if identities.count(one) > 1}:
        raise ValueError(f"{folder} has {twice} twice")
    for patch in file.get("patches", ()):
        found = _patched(folder, found, patch)
    for one in found:
        _transform(one, file)
    return found


def _transform(resource: Resource, file: dict[str, Any]) -> None:
    if "namespace" in file and resource["kind"] not in CLUSTERED:
        resource["metadata"]["namespace"] = file["namespace"]
    for image in file.get("images", ()):
        _rename(resource, image)
    for replicas in file.get("replicas", ()):
        if resource["metadata"]["name"] == replicas["name"] and resource["kind"] in {"Deployment", "StatefulSet"}:
            resource["spec"]["replicas"] = replicas["count"]


def _patched(folder: Path, resources: list[Resource], patch: dict[str, Any]) -> list[Resource]:
    if unknown := set(patch) - {"path", "target"}:
        raise Unsupported(f"{unknown} of a patch in {folder}")
    found = list(resources)
    for document in documents(folder / patch["path"]):
        what = {key: value for key, value in document.items() if key not in {"apiVersion", "kind", "metadata"}}
        target = patch.get("target") or {"kind": document["kind"], "name": document["metadata"]["name"]}
        chosen = [index for index, one in enumerate(found) if _is_target(one, target)]
        if not chosen and "target" not in patch:
            raise ValueError(f"{patch['path']} in {folder} patches nothing")
        for index in chosen:
            found[index] = merged(found[index]["kind"], found[index], what)
    return found


def _is_target(resource: Resource, target: dict[str, str]) -> bool:
    if unknown := set(target) - {"kind", "name", "labelSelector"}:
        raise Unsupported(f"{unknown} of a target")
    labels = resource["metadata"].get("labels", {})
    label, _, value = target.get("labelSelector", "").partition("=")
    return (
        bool(re.fullmatch(target.get("kind", ".*"), resource["kind"]))
        and bool(re.fullmatch(target.get("name", ".*"), resource["metadata"]["name"]))
        and (not label or labels.get(label) == value)
    )


def _rename(resource: Resource, image: dict[str, str]) -> None:
    if unknown := set(image) - {"name", "newName", "newTag", "digest"}:
        raise Unsupported(f"{unknown} of an image")
    for container in containers(resource):
        name = re.split(r"@|:(?=[^/]*$)", container["image"])[0]
        if name == image["name"]:
            end = f"@{image['digest']}" if "digest" in image else f":{image['newTag']}"
            container["image"] = image.get("newName", name) + end


def pod(resource: Resource) -> dict[str, Any] | None:
    """The specification of the pods of a resource, if it has any."""
    return resource["spec"]["template"]["spec"] if resource["kind"] in WORKLOADS else None


def containers(resource: Resource) -> list[dict[str, Any]]:
    spec = pod(resource) or {}
    return [*spec.get("initContainers", ()), *spec.get("containers", ())]


def identity(resource: Resource) -> tuple[str, str]:
    return resource["kind"], resource["metadata"]["name"]


def normal(value: Any, name: str = "") -> Any:
    """A value in which lists that merge are in the order of their keys."""
    if isinstance(value, dict):
        return {key: normal(one, key) for key, one in value.items()}
    if isinstance(value, list):
        key = MERGE_KEYS.get(name)
        ordered = key is not None and all(isinstance(one, dict) and key in one for one in value)
        return [normal(one) for one in (sorted(value, key=lambda one: str(one[key])) if ordered else value)]
    return value


def main(folder: Path) -> int:
    """Compare with Kustomize's output on standard input. Returns 0 if both are the same."""
    ours = {identity(one): normal(one) for one in rendered(folder)}
    theirs = {identity(one): normal(one) for one in yaml.safe_load_all(sys.stdin)}
    for one in sorted(ours.keys() ^ theirs.keys()):
        sys.stderr.write(f"{one} is made by one of both only\n")
    different = [one for one in sorted(ours.keys() & theirs.keys()) if ours[one] != theirs[one]]
    for one in different:
        sys.stderr.write(f"{one}: {ours[one]}\n  of Kustomize: {theirs[one]}\n")
    return 0 if not different and ours.keys() == theirs.keys() else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
