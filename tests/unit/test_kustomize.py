"""What the tests take for Kustomize: it computes what is documented, and refuses what it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.kustomize import Unsupported, rendered

POD: dict[str, Any] = {
    "containers": [{"name": "a", "image": "wildtag", "args": ["x", "y"], "env": [{"name": "ONE", "value": "1"}]}],
    "volumes": [{"name": "home", "emptyDir": {}}],
}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "labels": {"worker": "true"}},
    "spec": {"template": {"spec": POD}},
}  # fmt: skip


def folder(path: Path, patch: dict[str, Any] | None = None, **kustomization: Any) -> Path:
    path.mkdir(exist_ok=True)
    (path / "resource.yaml").write_text(yaml.safe_dump(DEPLOYMENT))
    (path / "patch.yaml").write_text(
        yaml.safe_dump({"kind": "Deployment", "metadata": {"name": "a"}} | (patch or {}))
    )
    patches = {"patches": [{"path": "patch.yaml"}]} if patch else {}
    file = {"resources": ["resource.yaml"], **patches, **kustomization}
    (path / "kustomization.yaml").write_text(yaml.safe_dump(file))
    return path


def patched(path: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """The pod after a patch of its specification."""
    (resource,) = rendered(folder(path, {"spec": {"template": {"spec": spec}}}))
    pod: dict[str, Any] = resource["spec"]["template"]["spec"]
    return pod


def test_lists_merge_by_their_key_and_others_are_replaced(tmp_path: Path) -> None:
    more = {"name": "a", "args": ["z"], "env": [{"name": "TWO", "value": "2"}, {"name": "ONE", "value": "0"}]}
    (container,) = patched(tmp_path, {"containers": [more]})["containers"]
    assert container["args"] == ["z"]
    assert container["image"] == "wildtag"
    assert {one["name"]: one["value"] for one in container["env"]} == {"ONE": "0", "TWO": "2"}


def test_null_removes(tmp_path: Path) -> None:
    claim = {"name": "home", "emptyDir": None, "persistentVolumeClaim": {"claimName": "home"}}
    (volume,) = patched(tmp_path, {"volumes": [claim]})["volumes"]
    assert volume == {"name": "home", "persistentVolumeClaim": {"claimName": "home"}}


def test_a_target_chooses_by_kind_name_and_label(tmp_path: Path) -> None:
    for target, found in ({"labelSelector": "worker=true"}, 2), ({"name": "b"}, None), ({"kind": "Job|Pod"}, None):
        path = folder(tmp_path, {"spec": {"replicas": 2}}, patches=[{"path": "patch.yaml", "target": target}])
        assert rendered(path)[0]["spec"].get("replicas") == found


def test_images_and_replicas_and_namespaces(tmp_path: Path) -> None:
    images = [
        {"name": "wildtag", "newName": "registry.example.org/x", "newTag": "1"},
        {"name": "wild", "newTag": "2"},
    ]
    (found,) = rendered(folder(tmp_path, images=images, replicas=[{"name": "a", "count": 3}], namespace="there"))
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example.org/x:1"
    assert (found["spec"]["replicas"], found["metadata"]["namespace"]) == (3, "there")


def test_a_patch_that_patches_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="patches nothing"):
        rendered(folder(tmp_path, {"metadata": {"name": "other"}, "spec": {}}))


def test_a_resource_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="twice"):
        rendered(folder(tmp_path, resources=["resource.yaml", "resource.yaml"]))


def test_what_it_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="namePrefix"):
        rendered(folder(tmp_path, namePrefix="x-"))
    with pytest.raises(Unsupported, match="patch"):
        patched(tmp_path, {"volumes": [{"name": "home", "$patch": "delete"}]})
