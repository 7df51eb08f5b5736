"""Unpacks xz with a limit of memory, which ``lzma.LZMAFile`` does not have."""

from __future__ import annotations

import lzma
from typing import BinaryIO

_BLOCK = 1 << 16


class Xz:
    """The unpacked bytes of an xz file, which may have several streams one after the other."""

    def __init__(self, raw: BinaryIO, memory: int) -> None:
        """``memory``: bytes that unpacking may take; more raises ``lzma.LZMAError``."""
        self._raw = raw
        self._memory = memory
        self._decompressor = self._fresh()
        self._rest = b""

    def read1(self, size: int) -> bytes:
        """At most ``size`` bytes, none at the end. Raises ``EOFError`` if the file is truncated."""
        while True:
            if self._decompressor.eof:
                self._rest = (self._decompressor.unused_data or self._raw.read(_BLOCK)).lstrip(b"\0")
                if not self._rest:
                    return b""
                self._decompressor = self._fresh()
            if self._decompressor.needs_input and not self._rest:
                self._rest = self._raw.read(_BLOCK)
                if not self._rest:
                    raise EOFError
            data = self._decompressor.decompress(self._rest, size)
            self._rest = b""
            if data:
                return data

    def _fresh(self) -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=self._memory)
