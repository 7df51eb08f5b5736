"""Looks up known vulnerabilities of the pinned packages: ``python -m ops.audit``. ``--strict``: no answer is a fault.

pip-audit passes in silence where the service of advisories has no data, as behind a mirror of packages. So it is
first asked about a release that is known to be vulnerable.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
KNOWN = "jinja2==2.4.1"  # CVE-2014-1402 and others
PATIENCE_S = 300.0

ACCEPTED: dict[str, str] = {}
"""Advisory to the reason why it does not concern wildtag."""


def audited(pins: str, *options: str, patience_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
    """Run pip-audit on these pins. Its exit status is 124 if it did not end in time."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "pip_audit",
        "--strict",
        "--progress-spinner",
        "off",
        "--disable-pip",
        "--no-deps",
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(pins)
        file.flush()
        try:
            return subprocess.run(
                [*command, *options, "--requirement", file.name], capture_output=True, text=True, check=False,
                timeout=patience_s,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", f"no answer within {patience_s:.0f} s")


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    trial = audited(KNOWN, patience_s=60.0)
    if "CVE-" not in trial.stdout and "PYSEC-" not in trial.stdout and "GHSA-" not in trial.stdout:
        reason = (trial.stderr.strip().splitlines() or ["no vulnerability of a release that has some"])[-1]
        print(f"not audited: the service of advisories does not answer ({reason})")
        return 1 if "--strict" in arguments else 0
    pins = "\n".join(line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    done = audited(pins, *(option for name in ACCEPTED for option in ("--ignore-vuln", name)))
    print(done.stdout, done.stderr, sep="\n")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
