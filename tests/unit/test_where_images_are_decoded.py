"""Strangers' bytes are decoded in processes of their own: no other process of ``workers`` decodes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = "workers/decoding/decode_loop.py"
DECODING = {"decode", "decode_with_media"}
# functions and classes that decode in this process unless they are told what decodes, and the name or place of that
TOLD = {"embedding": ("decode", 4), "Pipeline": ("decode", 99), "Source": ("decode", 99), "measure": ("decode", 99)}
DEFAULTS = {
    "workers/evaluation/report.py": "the default of a parameter, which the command line gives",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "workers").rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def test_no_module_of_workers_decodes_in_its_process() -> None:
    found = {
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "tasks.images"
        if DECODING & {one.name for one in node.names}
    }
    assert sorted(found - DEFAULTS.keys()) == [HERE]
    assert DEFAULTS.keys() <= found, "an exception that nothing needs any more"


def test_pillow_opens_nothing_in_workers() -> None:
    found = {
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"Image.open", "PIL.Image.open", "open_image"}
    }
    assert found == set()


def test_every_stage_that_decodes_is_told_what_decodes() -> None:
    calls = [
        (name, node)
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).removeprefix("pipeline.") in TOLD
    ]
    assert len(calls) >= 5
    for name, node in calls:
        keyword, place = TOLD[ast.unparse(node.func).removeprefix("pipeline.")]
        told = len(node.args) > place or keyword in {one.arg for one in node.keywords}
        assert told, f"{name}: {ast.unparse(node)[:100]}"
