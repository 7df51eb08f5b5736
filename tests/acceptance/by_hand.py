"""The processes of wildtag as Compose starts them: one by one, not by the embedded stack, and again when they end."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.stack import ROOT
from tests.eventually import eventually
from tests.warm import wildtag
from workers.embedded.ports import free_port
from workers.embedded.stack import command

Json = dict[str, Any]


class ByHand:
    """Processes over servers that are there. ``look`` starts again what has ended; ``ends`` counts that."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = free_port(0, claim=True)
        self.gateway = f"http://127.0.0.1:{self.port}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WILDTAG_")}
        self.environment = {
            **clean, "PYTHONPATH": str(ROOT), "WILDTAG_HOME": str(folder / "home"),
            "WILDTAG_GATEWAY_PORT": str(self.port), "WILDTAG_WORDS_AHEAD": "false", "OPENBLAS_NUM_THREADS": "1",
            "REMAP_SIGTERM": "SIGQUIT", "HF_HUB_OFFLINE": "1", **settings,
        }  # fmt: skip
        self.ends: dict[str, int] = {}
        self._commands: dict[str, Sequence[str]] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> None:
        """Start a process; without arguments, again the one of this name."""
        self._commands[name] = arguments or self._commands[name]
        own = {"WILDTAG_LIVENESS_FOLDER": str(self.folder / "alive" / name)}  # each container has its own
        with (self.folder / f"{name}.log").open("ab") as out:
            self._running[name] = subprocess.Popen(
                command(*self._commands[name]), env=self._told(*self._commands[name]) | own, stdout=out, stderr=out,
                start_new_session=True,
            )  # fmt: skip

    def look(self) -> None:
        """Start again what has ended."""
        for name, process in list(self._running.items()):
            if process.poll() is not None:
                self.ends[name] = self.ends.get(name, 0) + 1
                self.start(name)

    def end(self) -> None:
        """End all of them."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        self._running.clear()

    def until(self, check: Any, patience: float = 120) -> Any:
        """Wait until it gives something true; what ends meanwhile is started again."""

        def looked() -> Any:
            self.look()
            return check()

        return eventually(looked, patience, self.said, every_s=0.1, despite=(OSError,))

    def wildtag(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        done = wildtag(*arguments, env=self._told(*arguments))
        assert not check or done.returncode == 0, f"{done.stderr}\n{self.said()}"
        return done

    def _told(self, *arguments: str) -> dict[str, str]:
        """The environment of a process. What runs `wildtag encoder …` in Compose has no key of the store."""
        tells = arguments[0] != "encoder" or (arguments[1:2] == ("run",) and arguments[2] != "feeder")
        return {name: value for name, value in self.environment.items() if tells or not name.startswith("WILDTAG_S3")}

    def get(self, path: str) -> Json:
        """What the gateway answers."""
        with urllib.request.urlopen(f"{self.gateway}{path}", timeout=30) as answer:
            body: Json = json.load(answer)
        return body

    def objects(self) -> dict[str, Json]:
        """The records by key."""
        return {one["key"]: one for one in self.get("/v1/objects?limit=100")["objects"]}

    def said(self) -> str:
        """The last that each process has logged."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-2500:]}" for log in logs)


@contextmanager
def by_hand(folder: Path, **settings: str) -> Iterator[ByHand]:
    """Ends all processes afterwards."""
    hand = ByHand(folder, **settings)
    try:
        yield hand
    finally:
        hand.end()
