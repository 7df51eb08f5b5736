"""Everything that an installation brings is pinned, and what only some versions of Python need says so."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")
]  # fmt: skip
# what PyTorch's build for CUDA brings, each of an exact version that it names itself
CUDA = re.compile(r"nvidia-.*|cuda-.*|triton")


def installed(extras: set[str]) -> set[str]:
    """The names of what these extras of wildtag need here, all the way down."""
    found: set[str] = set()
    wanted = [("wildtag", frozenset(extras))]
    seen = set()
    while wanted:
        name, more = wanted.pop()
        if (name, more) in seen:
            continue
        seen.add((name, more))
        for text in importlib.metadata.requires(name) or []:
            need = Requirement(text)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in more or {""}):
                below = canonicalize_name(need.name)
                wanted.append((below, frozenset(need.extras)))
                found.add(below)
    return found - {"wildtag"}


def test_everything_is_pinned_once() -> None:
    names = [canonicalize_name(pin.name) for pin in PINS]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"==[^*]+", str(pin.specifier)) for pin in PINS)
    assert {n for n in installed({"embedded", "dev"}) if not CUDA.fullmatch(n)} <= set(names)


def test_what_runs_by_default_needs_no_torch() -> None:
    heavy = {"torch", "transformers", "sentence-transformers", "scikit-learn"}
    assert heavy <= installed({"embedded", "dev"})  # so they would be seen
    assert not {name for name in installed({"embedded"}) if name in heavy or CUDA.fullmatch(name)}


def test_pins_are_what_is_installed() -> None:
    """So a pin that no marker keeps away from this Python can be installed on it."""
    wrong = {}
    for pin in PINS:
        if pin.marker is None or pin.marker.evaluate():
            try:
                version = importlib.metadata.version(pin.name).partition("+")[0]
            except importlib.metadata.PackageNotFoundError:
                continue  # of another extra
            if version not in pin.specifier:
                wrong[pin.name] = version
    assert not wrong


# that of Debian 12, which is older than what the workflow runs, and the first of each later line
@pytest.mark.parametrize("python", ["3.11.2", "3.12.0", "3.13.0", "3.14.0"])
def test_pins_can_be_installed_on_every_supported_python(python: str) -> None:
    """A newer release of a package may need a later patch release of Python; pip then calls its pin a conflict."""
    here = {"python_version": python.rpartition(".")[0], "python_full_version": python}
    wrong = {}
    for pin in PINS:
        if pin.marker is None or pin.marker.evaluate(here):
            try:
                needs = importlib.metadata.metadata(pin.name)["Requires-Python"]
            except importlib.metadata.PackageNotFoundError:
                continue  # of another extra
            if needs and not SpecifierSet(needs).contains(python):
                wrong[str(pin)] = needs
    assert not wrong


def test_packages_of_some_pythons_only_carry_a_marker() -> None:
    marked = {pin.name: str(pin.marker) for pin in PINS if pin.marker}
    assert marked == {
        "async-timeout": 'python_full_version < "3.11.3"', "backports.zstd": 'python_version < "3.14"',
        "atheris": 'python_version < "3.14" and sys_platform == "linux" and platform_machine == "x86_64"',
    }  # fmt: skip
