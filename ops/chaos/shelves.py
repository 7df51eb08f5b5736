"""Where the objects of a run are: a folder, or a bucket of an S3 server that is reached without the faults."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from minio import Minio
from minio.commonconfig import CopySource


class Shelf(ABC):
    """Where users put objects."""

    @abstractmethod
    def write(self, key: str, data: bytes, *, in_place: bool) -> None:
        """Write an object. ``in_place``: as a program does that writes in pieces, where that differs."""

    @abstractmethod
    def move(self, key: str, to: str) -> None:
        """Give an object another key."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Remove an object."""


class FolderShelf(Shelf):
    """A folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, key: str, data: bytes, *, in_place: bool) -> None:
        """See ``Shelf``."""
        file = self._folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        if in_place:
            with file.open("wb") as opened:
                opened.write(data[: len(data) // 2])
                opened.flush()
                opened.write(data[len(data) // 2 :])
            return
        temporary = file.with_name(f".{file.name}.part")
        temporary.write_bytes(data)
        temporary.replace(file)

    def move(self, key: str, to: str) -> None:
        """See ``Shelf``."""
        (self._folder / to).parent.mkdir(parents=True, exist_ok=True)
        (self._folder / key).rename(self._folder / to)

    def remove(self, key: str) -> None:
        """See ``Shelf``."""
        with suppress(FileNotFoundError):
            (self._folder / key).unlink()


class BucketShelf(Shelf):
    """A bucket."""

    def __init__(self, client: Minio, bucket: str) -> None:
        """``client``: does not meet the faults."""
        self._client = client
        self._bucket = bucket

    def write(self, key: str, data: bytes, *, in_place: bool) -> None:
        """See ``Shelf``."""
        _ = in_place  # an object appears whole
        self._client.put_object(self._bucket, key, io.BytesIO(data), len(data), "image/jpeg")

    def move(self, key: str, to: str) -> None:
        """See ``Shelf``."""
        self._client.copy_object(self._bucket, to, CopySource(self._bucket, key))
        self._client.remove_object(self._bucket, key)

    def remove(self, key: str) -> None:
        """See ``Shelf``."""
        self._client.remove_object(self._bucket, key)
