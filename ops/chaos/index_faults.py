"""Faults of the embedded indexes of captions and of images, and the restoration of captions under load."""

from __future__ import annotations

import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

from ops.bench.qdrant_rest import ServerTrouble
from ops.chaos.fault import Fault, send
from ops.chaos.proxy import Toxic
from ops.chaos.redis_process import until
from ops.chaos.world import World
from vectordb.errors import Permanent

OWNER = "worker-retrieval"
_REPAIR_S = 300.0
_FLIPPED = 64  # bytes


class IndexFault(Fault):
    """A fault of the captions in use, or of the index of images, and of the worker that owns both."""

    def __init__(self, world: World, chance: float) -> None:
        super().__init__(world, chance)
        self.images = chance < 0.5
        self.victim = "images" if self.images else "captions"

    def folder(self) -> Path:
        """The folder of the index. Raises ``Permanent`` if there is none."""
        if self.images:
            found = [file.parent for file in (self.world.home / "images").rglob("index.json")]
        else:
            switches = self.world.switches
            version = switches.used[-1].version if switches is not None else "*"
            found = list((self.world.home / "captions").glob(f"*/{version}"))
        if not found:
            raise Permanent(f"there is no index of {self.victim} in {self.world.home}")
        return found[0]

    def restart(self) -> None:
        """Kill the owner, so that it opens the indexes again."""
        for process in self.world.services().get(OWNER, []):
            send(process, signal.SIGKILL)


class IndexAway(IndexFault):
    """The folder of an index is away, as that of a share, and the worker starts again. It comes back later."""

    def begin(self) -> None:
        """Move it away."""
        self._place = self.folder()
        self._aside = self.world.home / f"away-{time.monotonic_ns()}"
        self._place.rename(self._aside)
        self.restart()

    def mend(self) -> None:
        """Move it back. An index of images that was made anew in the meantime stays: it is derived."""
        if self._place.exists():
            shutil.rmtree(self._aside)
        else:
            self._aside.rename(self._place)


class IndexDamaged(IndexFault):
    """Bytes of a segment are flipped, and the worker starts again. Repaired as documented."""

    def begin(self) -> None:
        """Flip them."""
        self._place = self.folder()
        for file in self._place.rglob("segment.json"):
            with file.open("r+b") as opened:
                data = opened.read(_FLIPPED)
                opened.seek(0)
                opened.write(bytes(byte ^ 0xFF for byte in data))
        self.restart()

    def mend(self) -> None:
        """Put a copy of the captions back, and teach them again; have the index of images made anew."""
        switches = self.world.switches
        if self.images and switches is not None:
            until(
                lambda: switches.command("images", "rebuild", "--yes").returncode == 0, _REPAIR_S,
                "the index of images is not made anew",
            )  # fmt: skip
            return
        copy = self.world.home / f"copy-{time.monotonic_ns()}"
        shutil.copytree(self.world.undisturbed / self._place.relative_to(self.world.home), copy)
        shutil.rmtree(self._place)
        copy.rename(self._place)
        self.restart()
        if switches is not None:
            switches.teach_again(self._place.name)


class ServerFault(Fault):
    """The Qdrant server answers wrongly."""

    trouble = ServerTrouble.ERRORS

    def begin(self) -> None:
        """Let it."""
        self._set(self.trouble)

    def mend(self) -> None:
        """Let it answer rightly."""
        self._set(ServerTrouble.NONE)

    def _set(self, trouble: ServerTrouble) -> None:
        if self.world.index is None:
            raise Permanent("the indexes of this run are in its home")
        self.world.index.trouble = trouble


class ServerWrongDimension(ServerFault):
    """The collections of the Qdrant server seem to have another dimension."""

    trouble = ServerTrouble.WRONG_DIMENSION


class ServerAway(Fault):
    """The Qdrant server resets connections, and refuses others."""

    toxic = Toxic.RESET

    def begin(self) -> None:
        """Let it."""
        self._set(self.toxic)

    def mend(self) -> None:
        """Let connections pass."""
        self._set(Toxic.NONE)

    def _set(self, toxic: Toxic) -> None:
        if self.world.index_network is None:
            raise Permanent("the indexes of this run are in its home")
        self.world.index_network.set(toxic)


class ServerSlow(ServerAway):
    """Each piece that goes to the Qdrant server, or comes from there, is late by 0.4 s."""

    toxic = Toxic.LATE


class ServerSilent(ServerAway):
    """What is sent to the Qdrant server arrives nowhere."""

    toxic = Toxic.BLACKHOLE


class SnapshotRestored(Fault):
    """A captions version is dropped, restored from its snapshot, and used again, while images are tagged."""

    def begin(self) -> None:
        """Do it."""
        switches, files = self.world.switches, self.world.snapshots
        if switches is None or not files:
            raise Permanent("there is no snapshot")
        with suppress(IndexError):
            self.victim = switches.restore(files[int(self.chance * len(files))])
