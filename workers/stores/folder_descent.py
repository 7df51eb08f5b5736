"""Opens what is below a folder, and never anything outside of it, even if links are swapped in meanwhile.

A check of a path followed by its use is a race. So names are resolved by the kernel, relative to a descriptor of the
folder (``openat2`` with ``RESOLVE_BENEATH``, Linux 5.6), and everything else is done to the descriptor. Where
``openat2`` is missing or forbidden, the resolved path is opened component by component with ``O_NOFOLLOW``.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat as modes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vectordb.resources import passes
from workers.stores.store import ObjectForbidden, StoreAway

OUTSIDE = "the file is a link that leads outside of the inbox"

_OPENAT2 = 437  # the number of the system call on every architecture but Alpha
_NO_MAGICLINKS, _BENEATH = 0x02, 0x08
_ATTEMPTS = 64  # the kernel gives up with EAGAIN when a folder above is renamed meanwhile
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class _How(ctypes.Structure):
    """``struct open_how``."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@dataclass(frozen=True)
class Descent:
    """What is below ``root``, by file names relative to it. Raises ``OSError``, and ``ObjectForbidden`` for outside.

    ``anywhere``: links may lead outside. ``by_kernel``: whether to use ``openat2`` if there is one.
    """

    root: Path
    anywhere: bool = False
    by_kernel: bool = True

    @contextlib.contextmanager
    def opened(self, name: str, flags: int = os.O_PATH) -> Iterator[int]:
        """A descriptor of a file or folder; links are followed. An empty name is the root."""
        descriptor = self._open(name, flags | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def parent(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """A descriptor of the folder that holds a file, and the file's name in it. ``make``: creates the folder."""
        folder, _, last = name.rpartition("/")
        if make:
            self.root.mkdir(parents=True, exist_ok=True)
            self._make(folder)
        with self.opened(folder, _FOLDER) as descriptor:
            yield descriptor, last

    def lstat(self, name: str) -> os.stat_result:
        """The status of a file, or of the link itself."""
        with self.parent(name) as (folder, last):
            return os.stat(last, dir_fd=folder, follow_symlinks=False)

    def exists(self, name: str) -> bool:
        """Whether there is a file or a link of this name. Raises ``StoreAway`` if that cannot be told now."""
        try:
            self.lstat(name)
        except (ObjectForbidden, OSError) as exc:
            if passes(exc):
                raise StoreAway(f"the file {name} cannot be looked at: {exc}") from exc
            return False
        return True

    def _make(self, folder: str) -> None:
        above = ""
        for part in filter(None, folder.split("/")):
            with self.opened(above, _FOLDER) as descriptor, contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=descriptor)
            above = f"{above}/{part}" if above else part

    def _open(self, name: str, flags: int) -> int:
        root = os.open(self.root, _FOLDER)
        try:
            if self.anywhere or not name:
                return os.open(name or ".", flags, dir_fd=root)
            return self._beneath(root, name, flags)
        finally:
            os.close(root)

    def _beneath(self, root: int, name: str, flags: int) -> int:
        if self.by_kernel:
            try:
                return _openat2(root, name, flags)
            except OSError as exc:
                # EXDEV also for an absolute link to a place inside: it is resolved below
                if exc.errno not in {errno.EXDEV, errno.EAGAIN, errno.ENOSYS, errno.EPERM}:
                    raise
        try:
            return self._by_components(root, name, flags)
        except OSError as exc:
            if exc.errno not in {errno.ELOOP, errno.EINVAL}:
                raise
            raise ObjectForbidden(OUTSIDE) from exc  # a link was swapped in or out meanwhile, or leads to itself

    def _by_components(self, root: int, name: str, flags: int) -> int:
        """Open the file at which a name ends now, if no link is met on the way."""
        inside = os.path.relpath(os.path.realpath(self.root / name), os.path.realpath(self.root))
        if inside.split("/", maxsplit=1)[0] == "..":
            raise ObjectForbidden(OUTSIDE)
        *folders, last = inside.split("/")
        at = os.dup(root)
        try:
            for folder in folders:
                below = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = below
            return self._no_link(last, flags, at)
        finally:
            os.close(at)

    def _no_link(self, name: str, flags: int, folder: int) -> int:
        descriptor = os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)  # ELOOP for a link, but for O_PATH
        if flags & os.O_PATH and modes.S_ISLNK(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        return descriptor


def _openat2(root: int, name: str, flags: int) -> int:
    how = _How(flags, 0, _BENEATH | _NO_MAGICLINKS)
    path = ctypes.c_char_p(os.fsencode(name))
    for _ in range(_ATTEMPTS):
        descriptor: int = _libc.syscall(
            ctypes.c_long(_OPENAT2), ctypes.c_int(root), path, ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
        )
        if descriptor >= 0:
            return descriptor
        if (code := ctypes.get_errno()) not in {errno.EAGAIN, errno.EINTR}:
            break
    raise OSError(code, os.strerror(code), name)


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
