"""Importing reads no environment, opens nothing and loads no weights; only what encodes loads torch."""

from __future__ import annotations

import subprocess
import sys

LIGHT = [
    "vectordb.library", "vectordb.starter", "tasks.messages", "tasks.retrieval", "tasks.scoring", "tasks.encoders",
    "workers.app", "workers.wiring", "workers.processes", "workers.stages", "workers.stack", "workers.cli.main",
    "workers.gateway.serving", "workers.events.listener",
]  # fmt: skip

CHECK = """
import importlib, socket, sys
def refuse(*arguments, **options): raise AssertionError("a socket was opened")
socket.socket.connect = socket.socket.bind = refuse
for name in sys.argv[1:]:
    importlib.import_module(name)
heavy = {"torch", "transformers", "spacy", "skimage"} & set(sys.modules)
assert not heavy, heavy
"""


def test_imports_are_light() -> None:
    environment = {"WILDTAG_ALPHA": "this would not pass if it were read", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", CHECK, *LIGHT], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
