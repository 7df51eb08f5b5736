"""Looks for secrets in the files of the repository: ``python -m ops.secret_scan``. ``--update`` accepts them.

What detect-secrets finds is compared with ``.secrets.baseline``, which holds digests of what was looked at before, by
file and digest and not by line. ``REASONS`` says for each of these files why it is no secret.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from detect_secrets.core import baseline
from detect_secrets.core.secrets_collection import SecretsCollection

ROOT = Path(__file__).parents[1]
BASELINE = ROOT / ".secrets.baseline"

REASONS = {
    ".env.example": "names of variables, without values",
    "docker-compose.": "names of variables, and sentences about them",
    "docs/": "a command that makes a secret",
    "tests/": "made up for the test: keys of servers that run only meanwhile, checksums and names of samples",
    "workers/cli/s3.py": "an explanation of what to put there",
}
"""Beginning of a path to why what was found there is no secret."""

LEFT_OUT = (
    "tests/data/", "vectordb/starter/", "docs/images/", "ops/openapi.json", "constraints.txt", ".secrets.baseline",
)  # fmt: skip
"""Samples with digests, generated files, and the list of what was looked at before."""


def files() -> list[str]:
    """The files that are scanned: those that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    names = listed.decode().strip("\0").split("\0")
    return [name for name in names if not name.startswith(LEFT_OUT) and (ROOT / name).is_file()]


def main(arguments: list[str]) -> int:
    """Returns the exit status: 1 if something was found that was not looked at before."""
    known = baseline.load(baseline.load_from_file(str(BASELINE)), BASELINE.name)  # not where this checkout is
    found = SecretsCollection(root=str(ROOT))
    found.scan_files(*files())
    for name, secret in found:
        secret.filename = name  # as above
    if arguments == ["--update"]:
        baseline.save_to_file(found, str(BASELINE))
        return 0
    seen = {(name, secret.type, secret.secret_hash) for name, secret in known}
    new = [(name, one) for name, one in found if (name, one.type, one.secret_hash) not in seen]
    for name, secret in new:
        print(f"{name}:{secret.line_number}: {secret.type}")
    if new:
        print(f"{len(new)} possible secrets. Remove them; if they are none: python -m ops.secret_scan --update")
    unexplained = [name for name in known.files if not name.startswith(tuple(REASONS))]
    for name in unexplained:
        print(f"{name}: in {BASELINE.name} without a reason in ops/secret_scan.py")
    return 1 if new or unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
