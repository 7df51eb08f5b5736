"""This checkout of wildtag, or another one with an interpreter of its own: what a benchmark compares."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vectordb.errors import Permanent

ROOT = Path(__file__).parents[2]
# settings of the person who measures that must not reach the stacks: each has a home, a Redis and captions of its own
_KEPT = frozenset({"WILDTAG_THREADS", "WILDTAG_DEVICE"})


@dataclass(frozen=True)
class Checkout:
    """The code in ``path``, run by ``python``."""

    name: str
    path: Path
    python: str

    @classmethod
    def this(cls) -> Checkout:
        """The code that measures."""
        return cls("this", ROOT, sys.executable)

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """The environment of its processes. ``settings``: variables; others of wildtag are removed.

        Threads of OpenMP wait without using the CPU, in every process that is compared.
        """
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("WILDTAG_") or name in _KEPT
        }
        return {**inherited, "PYTHONPATH": str(self.path), "OMP_WAIT_POLICY": "PASSIVE", **settings}

    def wildtag(self, *arguments: str) -> list[str]:
        """The command line of one of its commands, to be run in the folder ``path``.

        Older versions start their processes without ``-P``, so that modules of the current folder come first.
        """
        return [self.python, "-P", "-m", "workers.cli", *arguments]

    def run(self, *arguments: str, settings: Mapping[str, str], timeout: float = 900.0) -> str:
        """Run a command and return what it prints. Raises ``Permanent`` when it fails."""
        done = subprocess.run(
            self.wildtag(*arguments), cwd=self.path, env=self.environment(settings), capture_output=True, text=True,
            check=False, timeout=timeout,
        )  # fmt: skip
        if done.returncode:
            said = (done.stderr or done.stdout)[-2000:]
            raise Permanent(f"wildtag {' '.join(arguments)} of {self.path} ended with {done.returncode}: {said}")
        return done.stdout

    def commit(self) -> str:
        """The commit of its working tree, ``-dirty`` if it was changed."""
        command = ["git", "-C", str(self.path), "describe", "--always", "--dirty", "--exclude=*"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        except OSError:
            return "unknown"
        return done.stdout.strip() or "unknown"


def add_options(parser: argparse.ArgumentParser) -> None:
    """``--home``, and ``--against`` with what belongs to it."""
    parser.add_argument(
        "--home", type=Path, help="home whose captions are copied (default: that of the settings, if it has some)"
    )
    parser.add_argument("--against", type=Path, metavar="PATH", help="another checkout of wildtag, measured in turns")
    parser.add_argument(
        "--against-python", metavar="PYTHON", help="its interpreter, with its dependencies (default: this one)"
    )
    parser.add_argument("--against-home", type=Path, metavar="HOME", help="home whose captions it copies")


def compared(chosen: argparse.Namespace) -> Sequence[tuple[Checkout, Path | None]]:
    """The checkouts of the options of ``add_options``, this one first, each with the home that it copies.

    Says so if a stack will have to encode its captions first. Raises ``Permanent`` for a checkout that does not
    exist, and for a named home without captions.
    """
    from workers.settings.settings import Settings  # noqa: PLC0415 -- reads the environment

    own = Settings().home
    for option, home in (("--home", chosen.home), ("--against-home", chosen.against_home)):
        if home is not None and not (home / "captions").is_dir():
            raise Permanent(f"{option}: {home} has no captions. To make them: WILDTAG_HOME={home} wildtag prepare")
    found: list[tuple[Checkout, Path | None]] = [
        (Checkout.this(), chosen.home or (own if (own / "captions").is_dir() else None))
    ]
    if chosen.against is not None:
        path = chosen.against.absolute()
        if not (path / "workers" / "cli").is_dir():
            raise Permanent(f"--against: {path} is not a checkout of wildtag")
        python = chosen.against_python or sys.executable
        found.append((Checkout("against", path, python), chosen.against_home))
    for checkout, home in found:
        if home is None:
            print(
                f"{checkout.name}: no captions to copy. Each new stack encodes them first, which takes minutes;"
                " --help names the options that spare it.", file=sys.stderr, flush=True,
            )  # fmt: skip
    return found


def described(checkouts: Sequence[Checkout]) -> dict[str, Any]:
    """Path, interpreter and commit of each, by name."""
    return {one.name: {"path": str(one.path), "python": one.python, "commit": one.commit()} for one in checkouts}
