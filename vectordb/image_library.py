"""Where indexes of images are: one for each vector space. Adapters: ``vectordb.image_folder``, ``…collections``.

An index is derived from the images, so one that is missing is created, and one that is damaged is replaced by an
empty one. What it lacks is found and added by ``wildtag images verify``.
"""

from __future__ import annotations

from typing import Protocol

from vectordb.images import ImageIndex


class ImageLibrary(Protocol):
    """Opens, creates and drops indexes of images."""

    def open(self, space_id: str, dimension: int) -> ImageIndex:
        """The index of a space; an empty one if there was none. Raises ``IndexLocked``, ``IndexFault``."""
        ...

    def drop(self, space_id: str) -> None:
        """Remove the index of a space, which nobody may have open; does nothing if there is none."""
        ...
