"""What a process that decodes does: reads bytes from shared memory, decodes, writes pixels to shared memory."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

import msgspec
from PIL import Image

from tasks.images import BadImage, decode_with_media
from tasks.images.errors import TooMuchMemory, UnexpectedFault
from tasks.images.thumbnail import webp
from workers.decoding.decode_messages import DecodeReply, DecodeRequest, Ended, Limits, Ready, receive, send
from workers.decoding.isolation import AddressSpace, close_all_but, isolate

_BLOCK = 2**20  # bytes by which shared memory grows
_SPENT = 2  # a process that keeps more than this part of its memory is replaced
# loaded once, before any process is forked; those of extras may be missing
_MODULES = ("PIL.ImageCms", "pi_heif", "tifffile", "rawpy")
_CODECS = ("jpegxl_decode", "jpegxl_decode_jpeg", "jpeg_decode", "jpeg2k_decode", "png_decode", "brotli_decode")


def preload(*, video: bool) -> None:
    """Load what decodes, so that each process has it."""
    Image.init()
    for name in (*_MODULES, *(("av",) if video else ())):
        with suppress(ImportError):
            import_module(name)
    with suppress(ImportError):
        import imagecodecs  # noqa: PLC0415 - an extra

        for name in _CODECS:
            getattr(imagecodecs, name, None)


def serve(connection: int, given: int, made: int, limits: Limits) -> None:
    """Answer requests until the connection ends. ``given``, ``made``: shared memory, read and written here."""
    space = AddressSpace()
    close_all_but({0, 1, 2, connection, given, made, space.file})
    base = space()
    memory = _Made(made)
    isolated = isolate(base + limits.memory, limits.memory, limits.readable)
    with suppress(Ended, OSError):
        send(connection, Ready(isolated))
        while True:
            request = receive(connection, DecodeRequest)
            reply = _answer(request, given, memory, limits)
            if space() - base > limits.memory // _SPENT:
                reply = _spent(reply)
            send(connection, reply)


def _answer(request: DecodeRequest, given: int, made: _Made, limits: Limits) -> DecodeReply:
    try:
        data = os.pread(given, request.size, 0)
        views, media = decode_with_media(
            data, max_pixels=request.max_pixels, near=request.near, gps=request.gps, video=request.video,
            max_bytes=limits.memory,
        )  # fmt: skip
        if request.thumbnail:
            encoded = webp(views[0], request.thumbnail)
            made.write([encoded])
            return DecodeReply(encoded=len(encoded), media=media)
        made.write([_pixels(view) for view in views])
        return DecodeReply(sizes=tuple(view.size for view in views), media=media)
    except BadImage as exc:
        return DecodeReply(exc.code, str(exc))
    except (MemoryError, OSError) as exc:  # of writing: more than the memory's limit
        return DecodeReply(TooMuchMemory.code, f"{TooMuchMemory.TEXT}: {exc or type(exc).__name__}")
    except Exception as exc:  # a fault of the reader
        return DecodeReply(UnexpectedFault.code, f"{UnexpectedFault.TEXT}: {type(exc).__name__}: {exc}")


def _pixels(image: Image.Image) -> memoryview | bytes:
    """RGB with a byte of padding, as Pillow holds it: without a copy, unless it is in several blocks."""
    try:
        capsule = image.__arrow_c_array__()[1]
    except ValueError:
        return image.tobytes("raw", "RGBX")
    colours = _Array.from_address(_pointer(capsule, b"arrow_array")).children[0].contents
    return memoryview((ctypes.c_char * (4 * image.width * image.height)).from_address(colours.buffers[1]))


class _Array(ctypes.Structure):
    """``struct ArrowArray`` of Arrow's C data interface, as far as it is needed."""


_Array._fields_ = [
    ("length", ctypes.c_int64), ("null_count", ctypes.c_int64), ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64), ("n_children", ctypes.c_int64), ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
]  # fmt: skip
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)


class _Made:
    """The shared memory that this process writes. It grows with the images, and stays mapped."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._mapped: mmap.mmap | None = None

    def write(self, parts: Sequence[memoryview | bytes]) -> None:
        """Write one part after the other. Raises ``OSError`` for more than the limit."""
        needed = sum(map(len, parts))
        if self._mapped is None or len(self._mapped) < needed:
            size = -(-needed // _BLOCK) * _BLOCK
            os.ftruncate(self._file, size)
            self._mapped = mmap.mmap(self._file, size)
        at = 0
        for part in parts:
            self._mapped[at : at + len(part)] = part
            at += len(part)


def _spent(reply: DecodeReply) -> DecodeReply:
    return msgspec.structs.replace(reply, spent=True)
