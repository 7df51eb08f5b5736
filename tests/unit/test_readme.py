"""What the README tells a newcomer to type exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer.main

from tests.contract import real_servers
from workers.cli.main import app
from workers.settings.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CONSOLE = "\n".join(re.findall(r"```console\n(.*?)```", README, re.DOTALL))


def test_every_wildtag_command_exists() -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # a group, as it has commands
    told = set(re.findall(r"wildtag ([a-z0-9]+)", CONSOLE))
    assert told
    assert told <= known


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\$ make ([a-z]+)", CONSOLE))))
def test_every_make_target_exists(target: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("there is no make here")
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_setting_it_names_exists() -> None:
    settings = {f"WILDTAG_{name.upper()}" for name in Settings.model_fields}
    of_tests = set(re.findall(r"WILDTAG_TEST_[A-Z0-9_]+[A-Z]", str(real_servers.__doc__)))
    assert set(re.findall(r"WILDTAG_[A-Z0-9_]+[A-Z]", README)) <= settings | of_tests


def test_every_folder_it_names_exists() -> None:
    for folder in re.findall(r"^\| `([a-z]+)/` \|", README, re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder
