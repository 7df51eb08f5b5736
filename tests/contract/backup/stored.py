"""Writes the backup that is stored for later versions: ``python -m tests.contract.backup.stored FOLDER``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.contract.backup.world import captioned, filled, save, unit, wiring
from tests.contract.own_redis import OwnRedis
from vectordb.image_folder import FolderImages
from vectordb.images import ImageEntry


def write(folder: Path) -> None:
    """Start a Redis, put something into it, and back it up."""
    server = OwnRedis()
    server.start()
    try:
        with tempfile.TemporaryDirectory() as home:
            world = wiring(server.url, Path(home), "{old}:")
            filled(world)
            captioned(world, [f"caption {n}" for n in range(20)], ["a moka pot"])
            index = FolderImages(world.settings.images_folder).open(world.space.id, world.space.dimension)
            index.put([ImageEntry("inbox", f"{n}.jpg", f"etag-{n}") for n in (2, 3)], unit(2, world.space.dimension))
            index.close()
            save(world, folder, captions=True, images=True)
    finally:
        server.close()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
