"""`ops/kubernetes/secrets/make.sh` writes what the manifests read, once, and for its owner alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.unit.manifests import FOLDER, OVERLAYS, ROOT, each_container
from workers.settings.settings import Settings
from workers.settings.variables import variable

PAIR = ("ACCESS_KEY", "SECRET_KEY")
GIVEN = {f"WILDTAG_S3_{name}": "of-a-test" for name in PAIR}
ADMIN = {f"WILDTAG_S3_ADMIN_{name}": "of-a-test" for name in PAIR}


def made(folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", **given}
    return subprocess.run(
        ["sh", folder / "make.sh"], env=environment, capture_output=True, text=True, check=False, timeout=30
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(FOLDER / "secrets", tmp_path / "secrets", ignore=shutil.ignore_patterns("*.env"))


def secrets(folder: Path) -> dict[str, dict[str, str]]:
    """Secrets with their keys and values, as Kustomize makes them."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    return {
        one["name"]: dict(
            line.split("=", 1) for file in one["envs"] for line in (folder / file).read_text().splitlines()
        )
        for one in kustomization["secretGenerator"]
    }


@pytest.mark.parametrize("overlay", sorted(OVERLAYS))
def test_every_secret_that_a_manifest_reads_is_made(overlay: str, folder: Path) -> None:
    done = made(folder, **GIVEN, **ADMIN)
    assert done.returncode == 0, done.stderr
    found = secrets(folder)
    for workload, _, container in each_container(overlay):
        for one in container["env"]:
            reference = one.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                assert reference["name"] in found, workload
                assert reference.get("optional") or reference["key"] in found[reference["name"]], (workload, one)


def test_what_is_made_is_accepted_as_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert made(folder, **GIVEN, **ADMIN).returncode == 0
    known = {variable(name) for name in Settings.model_fields}
    for values in secrets(folder).values():
        for name, value in values.items():
            if name in known:
                monkeypatch.setenv(name, value)
    settings = Settings()
    redis = secrets(folder)["wildtag-redis"]
    assert settings.redis_url == f"redis://:{redis['REDIS_PASSWORD']}@redis:6379/0"


def test_nothing_is_overwritten_and_nobody_else_reads_it(folder: Path) -> None:
    assert made(folder, **GIVEN).returncode == 0
    before = {file: file.read_text() for file in folder.glob("*.env")}
    assert before
    assert {file.stat().st_mode & 0o777 for file in before} == {0o600}
    again = made(folder, **GIVEN)
    assert again.returncode == 0
    assert "exists and is left as it is" in again.stderr
    assert {file: file.read_text() for file in folder.glob("*.env")} == before


def test_without_a_key_pair_nothing_is_made(folder: Path) -> None:
    done = made(folder)
    assert done.returncode != 0
    assert "key pair" in done.stderr
    assert not list(folder.glob("*.env"))


def test_git_leaves_them_out() -> None:
    assert "/ops/kubernetes/secrets/*.env" in (ROOT / ".gitignore").read_text().splitlines()
