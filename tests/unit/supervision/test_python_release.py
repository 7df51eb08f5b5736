"""A release of Python with a known fault is named, with the release that corrects it."""

from __future__ import annotations

import os
import sys
from itertools import pairwise

import pytest

from workers.diagnostics.doctor import _machine
from workers.diagnostics.python_release import FAULTS, Release, advice, faults_of
from workers.settings.settings import Settings


@pytest.mark.parametrize(
    ("release", "faults"), [
        ((3, 11, 2), {"CVE-2025-4517", "CVE-2025-8194", "CVE-2026-82049"}),
        ((3, 11, 12), {"CVE-2025-4517", "CVE-2025-8194", "CVE-2026-82049"}),
        ((3, 11, 13), {"CVE-2025-8194", "CVE-2026-82049"}), ((3, 11, 14), {"CVE-2026-82049"}), ((3, 11, 17), set()),
        ((3, 12, 10), {"CVE-2025-4517", "CVE-2025-8194", "CVE-2026-82049"}), ((3, 12, 15), set()),
        ((3, 13, 3), {"CVE-2025-4517", "CVE-2025-8194", "CVE-2026-82049"}),
        ((3, 13, 5), {"CVE-2025-8194", "CVE-2026-82049"}), ((3, 13, 16), set()), ((3, 14, 0), set()),
    ],
)  # fmt: skip
def test_a_release_has_the_faults_that_were_not_mended_before_it(release: Release, faults: set[str]) -> None:
    assert {fault.cve for fault in faults_of(release, ())} == faults


def test_a_correction_of_a_distribution_counts() -> None:
    assert "CVE-2025-4517" not in {fault.cve for fault in faults_of((3, 11, 2), {"ALLOW_MISSING"})}


def test_the_advice_names_the_first_release_without_any() -> None:
    found = advice((3, 11, 7), object())
    assert found is not None
    assert "CVE-2025-4517" in found[0]
    assert "3.11.17" in found[1]
    assert advice((3, 14, 1), object()) is None


def test_the_table_is_in_order() -> None:
    assert all(a < b for fault in FAULTS for a, b in pairwise(fault.mended))


def test_doctor_notes_it_and_does_not_fail() -> None:
    checks = {check.name: check for check in _machine(Settings())}
    assert ("python security" in checks) == (advice() is not None)
    assert all(check.ok is None for name, check in checks.items() if name == "python security")
    assert hasattr(os.path, "ALLOW_MISSING") or sys.version_info[:2] >= (3, 14) or advice() is not None
