"""No process that wildtag starts takes modules from the folder that it is started in."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

import pytest

from workers.embedded.stack import command

ROOT = Path(__file__).parents[3]
FILES = sorted(file for folder in ("workers", "ops") for file in (ROOT / folder).rglob("*.py"))


def test_every_interpreter_is_started_with_a_safe_path() -> None:
    started = 0
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.List | ast.Tuple) and node.elts and ast.unparse(node.elts[0]) == "sys.executable":
                flag = node.elts[1]
                assert isinstance(flag, ast.Constant), file
                assert flag.value in {"-P", "-I"}, file
                started += 1
    assert started >= 5


@pytest.mark.parametrize("module", ["tasks", "workers", "vectordb"])
def test_a_module_of_the_current_folder_shadows_none_of_ours(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text("raise SystemExit('the wrong module')\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command("worker", "--help"), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
