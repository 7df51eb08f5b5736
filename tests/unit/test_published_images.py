"""Images of a release: Docker Compose and Kubernetes run them by their digests."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.image_names import COMPONENT, component, main
from tests.unit.compose_file import OURS, ROOT
from tests.unit.kustomize import containers, rendered
from tests.unit.manifests import FOLDER

CPU = f"ghcr.io/someone/wildtag:1.2.3@sha256:{'ab' * 32}"
CUDA = f"ghcr.io/someone/wildtag:1.2.3-cuda@sha256:{'cd' * 32}"


class WithReset(yaml.SafeLoader):
    """Reads ``!reset null``, by which Compose removes a value of an earlier file."""


WithReset.add_constructor("!reset", lambda *_: "reset")


def test_every_service_of_ours_runs_the_published_image_and_builds_none() -> None:
    text = (ROOT / "docker-compose.published.yml").read_text()
    services: dict[str, Any] = yaml.load(text, WithReset)["services"]  # noqa: S506 -- a safe loader with one more tag
    assert set(services) == OURS
    for name, service in services.items():
        assert re.fullmatch(r"\$\{PUBLISHED_IMAGE:\?.+\}", service["image"])
        assert set(service) == {"image", *(["build"] if name == "volumes" else [])}
    assert services["volumes"]["build"] == "reset"


def test_the_files_of_a_release_name_its_images(tmp_path: Path) -> None:
    """The component takes the place of the one in the tree, and all overlays run its images."""
    assert main(["--cpu", CPU, "--cuda", CUDA, "--into", str(tmp_path / "assets")]) == 0
    assert (tmp_path / "assets" / "images.env").read_text().splitlines()[0] == f"PUBLISHED_IMAGE={CPU}"
    tree = tmp_path / "kubernetes"
    shutil.copytree(FOLDER, tree)
    shutil.copy(tmp_path / "assets" / "kustomization.yaml", tree / "components" / "images")
    images = {
        name: {one["image"] for resource in rendered(tree / "overlays" / name) for one in containers(resource)}
        for name in ("single-node", "production", "gpu")
    }
    ours, gpu = (re.sub(r":[^@]*@", "@", image) for image in (CPU, CUDA))
    assert images["production"] == {ours}
    assert images["gpu"] == {ours, gpu}
    assert images["single-node"] == {ours, "docker.io/library/redis:8.4.0-alpine", "docker.io/qdrant/qdrant:v1.19.1"}


@pytest.mark.parametrize("image", ["wildtag", "ghcr.io/someone/wildtag:1.2.3", f"wildtag@sha256:{'ab' * 32}"])
def test_an_image_without_a_digest_is_refused(image: str) -> None:
    with pytest.raises(ValueError, match=image):
        component(COMPONENT.read_text(), {"wildtag": image})


def test_a_name_that_the_component_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="0 lines for other"):
        component(COMPONENT.read_text(), {"other": CPU})
