"""No process that wildtag starts takes modules from the folder that it is started in."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workers.embedded.stack import command

ROOT = Path(__file__).parents[3]
POOL = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        print(pool.submit(eval, "__import__('tasks').__file__").result())
"""
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


def test_a_pool_of_processes_does_not_look_there_either(tmp_path: Path) -> None:
    """As for ``captions import``: the console script lies elsewhere, so its folder is not the current one."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "script.py").write_text(POOL)
    (tmp_path / "tasks.py").write_text("raise SystemExit('the wrong module')\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "bin/script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == str(ROOT / "tasks" / "__init__.py"), done.stderr
