"""Backups that are killed while they are written, and continued: what the tests of them share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contract.backup.test_s3_and_libraries import contents, with_images
from tests.contract.backup.world import captioned, differences, filled, put_back, save, values, wiring
from vectordb.image_folder import FolderImages
from workers.backup.form import MANIFEST
from workers.backup.places import Place
from workers.backup.stored_backups import Catalogue
from workers.backup.writing import Progress
from workers.embedded.backup_writing import Outcome
from workers.redis.maintenance_lock import LOCK
from workers.wiring.wiring import Wiring

TEXTS = [f"caption {n}" for n in range(39)]


class Killed(BaseException):
    """The process ends here."""


class Dying:
    """A place whose process is killed before, or just after, it stores the n-th file whose name has a text."""

    def __init__(self, place: Place, text: str, nth: int = 1, *, after: bool = False) -> None:
        self._place = place
        self._text = text
        self._left = nth
        self._after = after
        self.written: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._place, name)

    def write(self, name: str, data: bytes) -> str:
        if self._text in name.partition("/")[2]:
            self._left -= 1
        if self._left <= 0 and not self._after:
            raise Killed
        stamp = self._place.write(name, data)
        self.written.append(name.partition("/")[2])
        if self._left <= 0:
            raise Killed
        return stamp

    def remove(self, name: str) -> None:
        if self._left <= 0:
            raise Killed  # as a process that was killed removes nothing
        self._place.remove(name)


@pytest.fixture
def several_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row in each file: pages of ten captions or images."""
    monkeypatch.setattr("workers.backup.writing.ROWS_BYTES", 1)
    for module in ("edge", "image_edge"):
        monkeypatch.setattr(f"vectordb.{module}.PAGE", 10)


@pytest.fixture
def world(redis_url: str, tmp_path: Path, several_files: None) -> Wiring:  # noqa: ARG001 -- pages are small
    """A stack with records, four files of captions, one of a taught one, and three of images."""
    world = wiring(redis_url, tmp_path / "a")
    filled(world, 10)
    world.data_loss.step()
    captioned(world, TEXTS, ["a moka pot"])
    with_images(world, 30)
    return world


def killed(world: Wiring, place: Place, text: str, nth: int = 1, *, after: bool = False) -> list[str]:
    """Make a backup that is killed; returns the files that it has written."""
    dying: Any = Dying(place, text, nth, after=after)
    with pytest.raises(Killed):
        save(world, dying, captions=True, images=True)
    world.redis.delete(world.keys.lock(LOCK))  # it has a lifetime
    return list(dying.written)


def finished(world: Wiring, place: Place, **more: Any) -> tuple[Outcome, list[str], list[str]]:
    """Make or continue a backup; returns the files that it has written, and what it said."""
    watched: Any = Dying(place, "nothing", 1_000_000)
    said: list[str] = []
    done = save(world, watched, Progress(say=said.append), captions=True, images=True, **more)
    files = [one for one in watched.written if one.endswith(".zst")]
    return done, files, said


def images_of(world: Wiring) -> dict[str, tuple[Any, ...]]:
    index = FolderImages(world.settings.images_folder).open(world.space.id, world.space.dimension)
    try:
        return {
            one.key: (one.etag, one.hash, row.tobytes()) for page, rows in index.pages()
            for one, row in zip(page, rows, strict=True)
        }  # fmt: skip
    finally:
        index.close()


def require_whole(world: Wiring, made: Outcome, place: Place, redis_url: str, home: Path) -> None:
    """Restore the backup into an empty home, and compare everything with the stack."""
    catalogue = Catalogue(place)
    assert catalogue.verify(made.manifest) == []
    there = {name.partition("/")[2] for name in place.names(f"{made.manifest.id}/")}
    assert there == {MANIFEST, *(file.name for file in made.manifest.files)}
    assert catalogue.ids() == [made.manifest.id]
    other = wiring(redis_url, home, "{other}:")
    assert put_back(other, made, place).differences == []
    assert differences(values(world), values(other)) == []
    assert contents(other) == contents(world)
    assert other.library.active("space") == world.library.active("space")
    assert images_of(other) == images_of(world)
