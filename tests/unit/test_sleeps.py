"""Tests poll (``tests.eventually``); where one sleeps for a fixed time, the reason stands beside it."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]
SLEEPS = {"sleep"}


def test_every_fixed_sleep_has_its_reason_beside_it() -> None:
    bare = []
    for file in sorted(TESTS.rglob("*.py")):
        if file.name == "eventually.py":
            continue
        text = file.read_text()
        lines = text.splitlines()
        bare += [
            f"{file.relative_to(TESTS)}:{call.lineno}"
            for call in ast.walk(ast.parse(text))
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in SLEEPS
            and "#" not in lines[call.lineno - 1] and ast.unparse(call.args[0]) != "0"
        ]  # fmt: skip
    assert bare == []
