"""Run every case of a folder of golden files and say how many pass: ``python -m tests.golden DIR``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.golden.checks import (
    Case,
    Check,
    classification,
    dedupe,
    dense_crops,
    scoring,
    segmentation,
    text_transforms,
)

SHOWN = 3  # differences printed of a file


@dataclass(frozen=True)
class Report:
    """What became of one file's cases."""

    name: str
    passed: int
    total: int
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.passed}/{self.total}"


# file → the list of cases within it (the file itself when there is no key) → its check
FORMAT: dict[str, dict[str | None, Check]] = {
    "text_transforms.json": {None: text_transforms},
    "scoring.json": {None: scoring},
    "dedupe.json": {None: dedupe},
    "metrics.json": {"classification": classification, "segmentation": segmentation},
    "dense_crops.json": {None: dense_crops},
}


def run(folder: Path) -> Iterator[Report]:
    """A report for every file of the format that is there."""
    for name, parts in FORMAT.items():
        path = folder / name
        if not path.exists():
            continue
        content = json.loads(path.read_text(encoding="utf-8"))
        cases = [
            (f"{key} case {number}" if key else f"case {number}", _checked(check, case))
            for key, check in parts.items()
            for number, case in enumerate(content.get(key, []) if key else content)
        ]
        yield Report(
            name,
            passed=sum(not wrong for _, wrong in cases),
            total=len(cases),
            wrong=tuple(f"{title}: {text}" for title, wrong in cases for text in wrong),
        )


def _checked(check: Check, case: Case) -> list[str]:
    """What differs, or what stopped the check: one broken case must not hide the others."""
    try:
        return check(case)
    except Exception as exc:  # whatever a stage raises on a case is that case's failure
        return [f"{type(exc).__name__}: {exc}"]


def main(arguments: list[str]) -> int:
    """Print the reports. 0 when all that was run passes, 1 when something fails, 2 when there is nothing to run."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tests.golden DIR\n")
        return 2
    reports = []
    for report in run(Path(arguments[0])):
        reports.append(report)
        sys.stdout.write(f"{report}\n")
        for text in report.wrong[:SHOWN]:
            sys.stdout.write(f"    {text}\n")
        sys.stdout.flush()
    if not any(report.total for report in reports):
        sys.stderr.write(f"no golden cases in {arguments[0]}: expected files such as {', '.join(FORMAT)}\n")
        return 2
    return int(any(report.passed < report.total for report in reports))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
