"""Made videos: what is shown changes with time, so that a test knows which frame was looked at. Needs PyAV."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from PIL import Image

from tests.hostile.picture import base

RATE, COUNT = 10, 40
FORMATS: dict[str, tuple[str, str]] = {
    "h264.mp4": ("mp4", "libx264"), "mpeg4.mp4": ("mp4", "mpeg4"), "h264.mov": ("mov", "libx264"),
    "vp9.webm": ("webm", "libvpx-vp9"), "h264.mkv": ("matroska", "libx264"), "mjpeg.avi": ("avi", "mjpeg"),
    "mpeg2.mpg": ("mpeg", "mpeg2video"), "h264.m2ts": ("mpegts", "libx264"), "h263.flv": ("flv", "flv"),
    "wmv2.wmv": ("asf", "wmv2"),
}  # fmt: skip
SIZE = (160, 96)


def shown(at: int) -> Image.Image:
    """What frame ``at`` shows: the base picture, moved by four pixels a frame."""
    return Image.fromarray(np.roll(np.asarray(base().resize(SIZE)), 4 * at, axis=1))


def made(
    name: str = "h264.mp4",
    frame: Callable[[int], Image.Image] = shown,
    *,
    count: int = COUNT,
    gop: int = 10,
    metadata: dict[str, str] | None = None,
    change: Callable[[Any], None] = lambda _: None,
    options: dict[str, str] | None = None,
) -> bytes:
    """A video of this many frames. ``change``: of its stream, before anything is encoded."""
    container, codec = FORMATS[name]
    rate = 25 if codec == "mpeg2video" else RATE
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=options or {}) as file:
        file.metadata.update(metadata or {})
        stream: Any = file.add_stream(codec, rate=rate)
        stream.width, stream.height = frame(0).size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.gop_size, stream.bit_rate, stream.thread_count = gop, 4_000_000, 1
        change(stream)
        for at in range(count):
            one = av.VideoFrame.from_ndarray(np.asarray(frame(at)))
            one.pts, one.time_base = at, Fraction(1, rate)
            file.mux(stream.encode(one))
        file.mux(stream.encode(None))
    return buffer.getvalue()


def audio(container: str = "mp4", cover: bytes | None = None) -> bytes:
    """Sound alone; ``cover``: with this JPEG as its cover picture."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        stream: Any = file.add_stream("aac", rate=8000)
        picture: Any = None
        if cover is not None:
            picture = file.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = (*Image.open(io.BytesIO(cover)).size, "yuvj420p")
            picture.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), dtype=np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if cover is not None:
            packet = av.Packet(cover)
            packet.stream, packet.pts, packet.dts, packet.time_base = picture, 0, 0, Fraction(1, 1)
            file.mux(packet)
    return buffer.getvalue()


def boxes_moved(data: bytes) -> bytes:
    """An MP4 with its table of contents at the beginning; the offsets of chunks are moved along."""
    parts: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        parts[name] = data[at : at + size]
        at += size
    moov = bytearray(parts.pop(b"moov"))
    begin = moov.index(b"stco") + 8
    (count,) = struct.unpack_from(">I", moov, begin)
    for chunk in range(count):
        place = begin + 4 + 4 * chunk
        (offset,) = struct.unpack_from(">I", moov, place)
        struct.pack_into(">I", moov, place, offset + len(moov))
    ftyp = parts.pop(b"ftyp")
    return ftyp + bytes(moov) + b"".join(parts.values())


def which(view: Image.Image, candidates: Sequence[Image.Image]) -> tuple[int, float]:
    """The frame that a view is most like, and the mean difference in levels."""
    array = np.asarray(view, dtype=np.int16)
    distances = [float(np.abs(array - np.asarray(one, dtype=np.int16)).mean()) for one in candidates]
    best = int(np.argmin(distances))
    return best, distances[best]
