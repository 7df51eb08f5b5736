"""The shell blocks of the tutorial and of the README do what they say: they are run as a newcomer types them.

A home directory of its own has some pictures, and the shared stack where a stack's home is by default. Lines that
install or start the stack are left out (``make``, ``source``), and so are blocks that say why they are not run. The
names in those are checked by ``tests/unit/test_documentation.py``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.acceptance.images import photograph
from tests.acceptance.stack import Stack
from tests.documents import README, ROOT, blocks, typed
from tests.eventually import eventually
from workers.supervision.supervisor import read_stack

pytestmark = pytest.mark.timeout(600)

LEFT_OUT = ("make ", "source ", "git clone ", "cd wildtag")  # what was done for this test already
PICTURES = {"cat.jpg": "chelsea.png", "cup.jpg": "coffee.png"}
PROMISED = "http://127.0.0.1:8080"  # where the gateway is, unless that port is taken
WAITS_FOR_NOTHING = ("cp ", "mkdir ", "wildtag status")


@dataclass(frozen=True)
class Newcomer:
    """Somebody with a home directory, in front of a stack that runs."""

    home: Path
    stack: Stack
    gateway: str

    def types(self, line: str) -> str:
        """Run a line in a shell, once everything that was dropped before is tagged. Gives what it printed."""
        if not line.startswith(WAITS_FOR_NOTHING):
            eventually(self._at_rest, 120, self.stack.said, every_s=0.2)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("WILDTAG_", "XDG_"))}
        path = f"{self.home / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line.replace(PROMISED, self.gateway)], cwd=self.home,
            env={**environment, "HOME": str(self.home), "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "160"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _at_rest(self) -> bool:
        inbox = {str(file.relative_to(self.stack.inbox)) for file in self.stack.inbox.rglob("*.jpg")}
        counts = self.stack.tally()
        return not (counts["inbox"] or counts["in_flight"]) and inbox <= set(self.stack.known())


@pytest.fixture
def newcomer(running: Stack, tmp_path: Path) -> Iterator[Newcomer]:
    """A home directory; what is put into the stack's inbox is taken out again."""
    info = read_stack(running.home)
    assert info is not None
    share = tmp_path / ".local" / "share"
    for folder in (share, tmp_path / "bin", tmp_path / "Pictures"):
        folder.mkdir(parents=True)
    (share / "wildtag").symlink_to(running.home)
    program = tmp_path / "bin" / "wildtag"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m workers.cli "$@"\n')
    program.chmod(0o755)
    for name, source in PICTURES.items():
        Image.open(BytesIO(photograph(source))).convert("RGB").save(tmp_path / "Pictures" / name)
    before = set(running.known())
    yield Newcomer(tmp_path, running, info.addresses["gateway"].rstrip("/"))
    for key in set(running.known()) - before:
        (running.inbox / key).unlink(missing_ok=True)
    eventually(lambda: set(running.known()) == before, 60, running.said, every_s=0.2)


def lines(page: Path) -> list[str]:
    """What a newcomer types of a page."""
    found = [line for block in blocks(page, "console") if block.mark is None for line in typed(block)]
    return [line for line in found if not line.startswith(LEFT_OUT)]


def test_the_readme_works(newcomer: Newcomer) -> None:
    said = {line.partition("#")[0].strip(): newcomer.types(line) for line in lines(README)}
    assert all(name in said["wildtag results"] for name in PICTURES)
    assert '"state":"done"' in said["wildtag results cat.jpg --json"]


@pytest.mark.long
def test_the_tutorial_works(newcomer: Newcomer) -> None:
    typed_lines = lines(ROOT / "docs" / "tutorial.md")
    if shutil.which("curl") is None:
        typed_lines = [line for line in typed_lines if not line.startswith("curl ")]
    said = {line: newcomer.types(line) for line in typed_lines}
    assert all(f"holiday/{name}" in said["wildtag results"] for name in PICTURES)
    assert "moka pot" in said["wildtag captions taught"]
