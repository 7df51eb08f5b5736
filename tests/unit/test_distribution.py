"""The wheel and the source distribution hold every file of the packages and nothing else.

Both are built offline, the wheel from the source distribution, and the wheel is installed into an empty environment.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable
from importlib.metadata import PathDistribution
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSION = PROJECT["version"]
PACKAGES = ("vectordb", "tasks", "workers")
OF_A_CHECKOUT = shutil.ignore_patterns("__pycache__", "*.egg-info")
# modules that need nothing but the standard library: one at least of each package
LIGHT = (
    "vectordb.starter.captions",
    "tasks.evaluation.manifest",
    "workers.supervision.supervisor",
    "workers.redis.keys",
)


def _files(root: Path, folders: Iterable[str]) -> set[str]:
    """Paths of all files in these folders, relative to ``root``, without what Python compiles."""
    return {
        str(path.relative_to(root))
        for folder in folders for path in (root / folder).rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }  # fmt: skip


OURS = _files(ROOT, PACKAGES)


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, built from a copy of the tree, tests included."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in (*PACKAGES, "tests", "ops"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=OF_A_CHECKOUT)
    for file in ROOT.iterdir():
        if file.is_file() and not file.name.startswith("."):
            shutil.copy(file, tree)
    _run(sys.executable, "-m", "build", "--no-isolation", cwd=tree)
    return tree / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    _run(
        sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel,
        cwd=folder,
    )  # fmt: skip
    return folder


def test_the_wheel_has_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"wildtag-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    about = {name for name in names if name.startswith(f"wildtag-{VERSION}.dist-info/")}
    assert names - about == OURS
    licenses = {name.partition("/licenses/")[2] for name in about if "/licenses/" in name}
    assert licenses == set(PROJECT["license-files"])


@pytest.mark.parametrize("suffix", [".py", ".lua", ".tsv", ".css", ".js", ".html", ".svg", ".typed", ".txt"])
def test_files_of_every_kind_are_compared(suffix: str) -> None:
    """So that the comparison above is not one of empty sets."""
    assert any(name.endswith(suffix) for name in OURS)


def test_the_source_distribution_has_the_packages_and_no_tests(dist: Path) -> None:
    (found,) = dist.glob("*.tar.gz")
    with tarfile.open(found) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    assert {name for name in names if PurePosixPath(name).parts[0] in PACKAGES} == OURS
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"} <= names
    assert {PurePosixPath(name).parts[0] for name in names if "/" in name} == {*PACKAGES, "wildtag.egg-info"}


def test_the_installed_package_has_them_too(installed: Path) -> None:
    (site,) = installed.glob("lib/python*/site-packages")
    assert _files(site, PACKAGES) == OURS
    assert {path.name for path in site.iterdir() if path.suffix != ".pth"} == {
        *PACKAGES, f"wildtag-{VERSION}.dist-info",
    }  # fmt: skip
    about = PathDistribution(site / f"wildtag-{VERSION}.dist-info")
    assert about.version == VERSION
    assert [point.value for point in about.entry_points if point.name == "wildtag"] == ["workers.cli.__main__:main"]


@pytest.mark.parametrize("module", LIGHT)
def test_modules_without_dependencies_can_be_imported_there(installed: Path, module: str) -> None:
    program = f"import importlib; print(importlib.import_module('{module}').__file__)"
    said = _run(installed / "bin" / "python", "-I", "-c", program, cwd=installed)
    assert Path(said.strip()).is_relative_to(installed)


def test_data_can_be_read_there(installed: Path) -> None:
    program = (
        "from importlib.resources import files;"
        "print(len(files('vectordb.starter').joinpath('nouns.tsv').read_text(encoding='utf-8').splitlines()))"
    )
    assert int(_run(installed / "bin" / "python", "-I", "-c", program, cwd=installed)) > 1000


def test_the_command_prints_the_version() -> None:
    """The one in pyproject.toml; an environment that was not installed again prints the one before."""
    assert _run(sys.executable, "-m", "workers.cli", "--version", cwd=ROOT) == f"wildtag {VERSION}\n"


def test_every_tested_version_of_python_is_classified() -> None:
    """The workflow that tests is held to the same list."""
    prefix = "Programming Language :: Python :: 3."
    minors = [int(one.removeprefix(prefix)) for one in PROJECT["classifiers"] if one.startswith(prefix)]
    assert minors == [11, 12, 13, 14]
    assert PROJECT["requires-python"] == f">=3.{min(minors)}"
