"""The files of a form after the first. They are kept until the whole form has been read, then stored together.

A small file is kept in memory, which the lease of the request counts. A larger one goes to a temporary file without
a name, so nothing is left of it when the request or the process ends. All requests share the disk space for that.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import anyio.to_thread

from tasks.images import HEAD as RECOGNISED
from workers.gateway.body_memory import Lease
from workers.gateway.forms import FileBegins
from workers.gateway.free_space import FULL, NO_SPACE_S, least_free
from workers.gateway.image_types import named_type
from workers.gateway.problems import Problem
from workers.gateway.shares import Shares

IN_MEMORY = 2**18  # bytes of a file that is kept in memory
WRITTEN = 2**20  # bytes that are written at a time
FORM = 4  # a form may be as large as that many images of the largest size
ALL = 16  # and so may the temporary files of all requests be
RETRY_S = 5


class FormSpace:
    """The disk space for files of forms. ``largest``: maximum bytes of an image."""

    def __init__(self, largest: int) -> None:
        self.shares = Shares(ALL * largest, least=largest)
        self.form = FORM * largest

    @contextmanager
    def files(self, caller: str, lease: Lease, limit: int, *, video: bool) -> Iterator[FormFiles]:
        """The files of one form, up to the end of its request. ``limit``: bytes of each."""
        files = FormFiles(self, caller, lease, limit, video=video)
        try:
            yield files
        finally:
            files.close()


class FormFile:
    """One file. ``content_type``: recognised by its first bytes. ``digest``: SHA-256, when it is complete."""

    def __init__(self, begins: FileBegins) -> None:
        self.begins = begins
        self.content_type = ""
        self.size = 0
        self.kept = bytearray()
        self.disk: Any = None  # tempfile's wrapper of a file
        self._hash = hashlib.sha256()

    @property
    def file_name(self) -> str:
        return self.begins.file_name

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def add(self, data: bytes) -> None:
        """Keep more bytes in memory."""
        self.kept += data
        self.size += len(data)
        self._hash.update(data)

    def file(self) -> BinaryIO:
        """The file from its beginning."""
        if self.disk is None:
            return io.BytesIO(self.kept)
        self.disk.seek(0)
        opened: BinaryIO = self.disk
        return opened


class FormFiles:
    """Takes the files of one form. ``all``: those that are complete, and the last one."""

    def __init__(self, space: FormSpace, caller: str, lease: Lease, limit: int, *, video: bool) -> None:
        self.all: list[FormFile] = []
        self._space = space
        self._caller = caller
        self._lease = lease
        self._limit = limit
        self._video = video
        self._on_disk = 0
        self._size = 0

    @property
    def most_bytes(self) -> int:
        """The maximum bytes of all files of a form together."""
        return self._space.form

    def begin(self, begins: FileBegins) -> None:
        """The next file begins. Raises ``Problem`` if the one before is no image."""
        self._check_last()
        self.all.append(FormFile(begins))

    async def add(self, data: bytes) -> None:
        """The next bytes of the last file. Raises ``Problem``."""
        file = self.all[-1]
        self._lease.grow(len(data))
        self._size += len(data)
        if self._size > self.most_bytes:
            raise Problem("too-large", f"the form has more than {self.most_bytes:,} bytes: send fewer files")
        known = file.size >= RECOGNISED
        file.add(data)
        if file.size > self._limit:
            raise Problem("too-large", f"{file.begins.label} has more than {self._limit:,} bytes")
        if not known and file.size >= RECOGNISED:
            self._recognise(file)
        if len(file.kept) >= (IN_MEMORY if file.disk is None else WRITTEN):
            await self._write(file)

    async def end(self) -> None:
        """The form has ended. Raises ``Problem``."""
        self._check_last()
        for file in self.all:
            if file.disk is not None and file.kept:
                await self._write(file)

    def close(self) -> None:
        """Remove the temporary files."""
        for file in self.all:
            if file.disk is not None:
                file.disk.close()
        self._space.shares.give_back(self._caller, self._on_disk)
        self._on_disk = 0

    def _check_last(self) -> None:
        if self.all and not self.all[-1].content_type:
            self._recognise(self.all[-1])

    def _recognise(self, file: FormFile) -> None:
        try:
            file.content_type = named_type(bytes(file.kept[:RECOGNISED]), video=self._video)
        except Problem as problem:
            raise Problem(problem.name, f"{file.begins.label}: {problem.detail}") from problem

    async def _write(self, file: FormFile) -> None:
        """Move the bytes in memory to the disk."""
        size = len(file.kept)
        if self._space.shares.refusal(self._caller, size) is not None:
            raise Problem.later("too-many", "the disk space for files of forms is in use; send fewer files", RETRY_S)
        self._space.shares.take(self._caller, size)
        self._on_disk += size
        try:
            await anyio.to_thread.run_sync(_write, file)
        except OSError as exc:
            reason = f"the gateway cannot keep the files of the form: {exc.strerror}; send them one by one"
            name, seconds = ("no-space", NO_SPACE_S) if exc.errno in FULL else ("unavailable", RETRY_S)
            raise Problem.later(name, reason, seconds) from exc
        file.kept = bytearray()
        self._lease.shrink(size)


def _write(file: FormFile) -> None:
    if file.disk is None:
        file.disk = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the form
    with contextlib.suppress(AttributeError):  # not on every system
        disk = os.fstatvfs(file.disk.fileno())
        least = least_free(disk.f_blocks * disk.f_frsize)
        if disk.f_bavail * disk.f_frsize < len(file.kept) + least:
            raise OSError(errno.ENOSPC, f"less than {least / 1e6:.0f} MB are free in {tempfile.gettempdir()}")
    file.disk.write(file.kept)
    file.disk.flush()
