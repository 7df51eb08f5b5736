"""Videos, by PyAV (extra ``video``): two frames of one, as they are shown at 10 % and at 50 % of its duration.

A frame of one colour gives way to a later one that shows something. The bytes are untrusted, so FFmpeg gets one
demuxer, a list of decoders and no way to open anything else. A frame counts only if nothing went wrong since the
keyframe before it: decoders would fill what is damaged with what they guess.

Work is bounded: of each view so many pixels are decoded. Where a keyframe is further away than that, the view is the
last frame that was reached.
"""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NoReturn

from PIL import Image

from tasks.images import hdr
from tasks.images.containers import PROGRAM, TRANSPORT, VIDEOS, with_article
from tasks.images.errors import DamagedImage, ImageTooLarge, NotAnImage, UnsupportedImage, check_size
from tasks.images.samples import to_rgb
from tasks.images.source import Source
from tasks.images.transparency import one_colour
from tasks.images.video_metadata import told

if TYPE_CHECKING:
    from collections.abc import Iterator

# shares of the duration: of each view, what is tried until a frame shows something
POSITIONS = ((0.1, 0.15, 0.2, 0.25, 0.3, 0.4), (0.5, 0.55, 0.6, 0.7, 0.8, 0.9))
_PIXELS = 700_000_000  # of a view, all frames together: 340 of full HD, about three seconds
_FRAMES = 3000  # of a view; small ones cost more than their pixels
_PACKETS = 200_000  # of a file that are read
_BLANK = 10  # levels that the noise of lossy compression spans
_WIDEST = 16  # ratio of a pixel's sides; more is a fault of the file
_BEFORE_S = 60  # a search for the first packet itself finds a later one
_HIGH = 720  # rows from which untagged colours are those of ITU-R BT.709
# FFmpeg's names of decoders, without those of hardware and of rare formats
CODECS = frozenset({
    "av1", "libdav1d", "cinepak", "dnxhd", "dvvideo", "ffv1", "ffvhuff", "flv", "h261", "h263", "h264", "hevc",
    "huffyuv", "indeo3", "indeo4", "indeo5", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v1", "msmpeg4",
    "msmpeg4v2", "msmpeg4v3", "msvideo1", "png", "prores", "qtrle", "rawvideo", "rpza", "svq1", "svq3", "theora",
    "utvideo", "vc1", "vp3", "vp6", "vp6f", "vp8", "vp9", "wmv1", "wmv2", "wmv3",
})  # fmt: skip
_ORIENTATIONS = {
    (1, 0, 0, 1): 1, (-1, 0, 0, 1): 2, (-1, 0, 0, -1): 3, (1, 0, 0, -1): 4, (0, 1, 1, 0): 5, (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7, (0, -1, 1, 0): 8,
}  # fmt: skip


def opened(data: bytes, kind: str, max_pixels: int) -> Source:
    """A video of this kind, one of ``containers.VIDEOS``. Raises a ``BadImage``, or what PyAV raises."""
    import av  # noqa: PLC0415 - an extra

    container = av.open(
        io.BytesIO(data), "r", format=VIDEOS[kind][0], metadata_errors="ignore", io_open=_refused,
        options={
            "protocol_whitelist": "none", "codec_whitelist": ",".join(sorted(CODECS)), "enable_drefs": "0",
            "use_absolute_path": "0", "max_pixels": str(max_pixels), "threads": "1",
        },
    )  # fmt: skip
    stream = _track(container, kind)
    width, height = _displayed(stream.width, stream.height, stream.sample_aspect_ratio)
    check_size(stream.width, stream.height, max_pixels)
    check_size(width, height, max_pixels)
    reader = _Reader(container, stream, kind, max_pixels)

    def load() -> list[Image.Image]:
        with container:
            views = reader.views()
            # an estimate where the container has no count
            source.frames = max(1, stream.frames or round(reader.duration * (stream.average_rate or 0)))
        source.turned = reader.turned
        return views

    source = Source(kind, width, height, load, told=told({**stream.metadata, **container.metadata}))
    return source


def _refused(url: str, *_: object) -> NoReturn:
    raise PermissionError(f"a video may not open {url!r}")


def _track(container: Any, kind: str) -> Any:
    """The video track that a player shows. Cover pictures of sound are none."""
    from av.stream import Disposition  # noqa: PLC0415 - as above

    none = Disposition.attached_pic | Disposition.timed_thumbnails
    tracks = [one for one in container.streams.video if not one.disposition & none]
    if not len(container.streams):
        raise DamagedImage(f"the {kind} has no track that can be read")
    if not tracks:
        raise NotAnImage(f"{with_article(kind)} without a picture: it has no video track")
    known = [one for one in tracks if one.codec_context is not None and one.codec_context.codec.name in CODECS]
    if not known:
        context = tracks[0].codec_context
        name = f"codec {context.name}" if context else "codec that is not known"
        raise UnsupportedImage(f"{kind} with a {name} is not read")
    return max(known, key=lambda one: (bool(one.disposition & Disposition.default), one.width * one.height))


def _displayed(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """The size with square pixels; ``aspect``: width of a pixel divided by its height."""
    if aspect is None or not Fraction(1, _WIDEST) <= aspect <= _WIDEST or aspect == 1:
        return width, height
    return max(1, round(width * aspect)), height


class _Reader:
    """Reads frames of one video track. ``turned``: the orientation of the frame that was read last, 1 to 8."""

    def __init__(self, container: Any, stream: Any, kind: str, max_pixels: int) -> None:
        self.turned = 1
        self._container = container
        self._stream = stream
        self._kind = kind
        self._max_pixels = max_pixels
        self._aspect = stream.sample_aspect_ratio
        self._packets = _PACKETS
        self._frames = _FRAMES
        self._pixels = _PIXELS
        self._error: Exception | None = None
        self._error_met = False  # in the packet that was decoded last
        context = stream.codec_context
        context.thread_count = 1
        # an error is raised for damaged data, where FFmpeg can tell
        context.options = {"err_detect": "crccheck+explode", "max_pixels": str(max_pixels)}
        self._base = stream.time_base or Fraction(1, 1_000_000)
        self._start = stream.start_time or 0
        self.duration = float((stream.duration or 0) * self._base or (container.duration or 0) / 1_000_000)

    def views(self) -> list[Image.Image]:
        """One or two frames, as stored. Raises a ``BadImage``, or what PyAV raises."""
        if self.duration <= 0:
            self.duration = self._measured()
        blank: list[Image.Image] = []
        shown: list[Image.Image] = []
        seen: set[int] = set()
        for positions in POSITIONS:
            first = None
            for view in self._tried(positions, seen):
                if not one_colour(view, _BLANK):
                    shown.append(view)
                    break
                first = first or view
            else:
                blank += [first] if first is not None else []
        if not shown and not blank:
            if self._error is not None:
                raise self._error
            raise DamagedImage(f"the {self._kind} cannot be decoded: it has no whole frame")
        return shown or blank[:1]

    def _tried(self, positions: tuple[float, ...], seen: set[int]) -> Iterator[Image.Image]:
        """The frames at these positions, each once. ``seen``: their times."""
        self._pixels, self._frames = _PIXELS, _FRAMES
        for position in positions:
            if self._pixels <= 0 or self._frames <= 0:
                return
            frame = self._frame_at(self._start + int(position * self.duration / self._base))
            if frame is not None and frame.pts not in seen:
                if frame.pts is not None:
                    seen.add(frame.pts)
                yield self._image(frame)

    def _measured(self) -> float:
        """Seconds of a video whose container does not tell, as one that was recorded as a stream."""
        end = 0
        for packet in self._demuxed():
            end = max(end, packet.pts or 0, packet.dts or 0)
        return float((end - self._start) * self._base)

    def _packets_before(self, target: int) -> Iterator[Any]:
        """The packets from the last keyframe that is shown at or before this time."""
        indexed = self._kind not in {PROGRAM, TRANSPORT}
        begin = self._start - round(_BEFORE_S / self._base)
        self._container.seek(target if indexed else begin, stream=self._stream, backward=True)
        if indexed:
            yield from self._demuxed()
            return
        # MPEG containers have no index, and a search in them misses keyframes: read from the start
        kept: list[Any] = []
        packets = self._demuxed()
        for packet in packets:
            if packet.is_keyframe and (not kept or packet.pts is None or packet.pts <= target):
                kept = []
            kept.append(packet)
            if packet.dts is not None and packet.dts > target:
                break
        yield from kept
        yield from packets

    def _demuxed(self) -> Iterator[Any]:
        for packet in self._container.demux(self._stream):
            self._packets -= 1
            if self._packets < 0:
                raise ImageTooLarge(f"the {self._kind} has too many parts: the limit is {_PACKETS:,}")
            if packet.has_sidedata("encryption_info"):
                raise UnsupportedImage(f"{self._kind} that is encrypted is not read")
            yield packet

    def _frame_at(self, target: int) -> Any:
        """The frame that is shown at this time, or the nearest one that is whole; ``None`` if there is none.

        If the time is beyond the end, it is the last frame.
        """
        import av  # noqa: PLC0415 - as above

        context = self._stream.codec_context
        best = None
        try:
            whole = False  # since a keyframe
            for packet in self._packets_before(target):
                if not whole and packet.size and not packet.is_keyframe:
                    continue
                whole = True
                self._frames -= 1
                self._pixels -= self._stream.width * self._stream.height
                for frame in self._decoded(packet):
                    best = frame
                    if frame.pts is None or frame.pts + (frame.duration or 1) > target:
                        return best
                if self._error_met:
                    whole = False
                    context.flush_buffers()
                if self._pixels <= 0 or self._frames <= 0:
                    # the decoder may hold frames back
                    return best or next(iter(self._decoded(None)), None)
        except av.error.FFmpegError as exc:
            self._error = exc
        return best

    def _decoded(self, packet: Any) -> list[Any]:
        import av  # noqa: PLC0415 - as above

        self._error_met = False
        try:
            return [frame for frame in self._stream.codec_context.decode(packet) if not frame.is_corrupt]
        except av.error.FFmpegError as exc:
            self._error, self._error_met = exc, True
            return []

    def _image(self, frame: Any) -> Image.Image:
        check_size(frame.width, frame.height, self._max_pixels)
        self.turned = _orientation(frame)
        options: dict[str, Any] = {}
        if frame.colorspace == 2 and frame.height >= _HIGH:  # 2: the file does not tell
            options["src_colorspace"] = "ITU709"
        clear = any(component.is_alpha for component in frame.format.components)
        pixels = frame.reformat(format="rgba" if clear else "rgb24", **options).to_ndarray()
        if frame.color_trc in {hdr.PQ, hdr.HLG} and not clear:
            pixels = hdr.to_srgb(pixels, frame.color_trc)
        image = to_rgb(Image.fromarray(pixels), None, animated=True)
        size = _displayed(frame.width, frame.height, self._aspect)
        check_size(*size, self._max_pixels)
        return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)


def _orientation(frame: Any) -> int:
    """The display matrix of a frame as an orientation of EXIF. Angles are rounded to quarter turns."""
    for side in frame.side_data:
        if side.type.name == "DISPLAYMATRIX" and len(raw := bytes(side)) >= 20:
            a, b, _, c, d = struct.unpack_from("=5i", raw)
            turning = abs(a) + abs(d) < abs(b) + abs(c)
            signs = (0, _sign(b), _sign(c), 0) if turning else (_sign(a), 0, 0, _sign(d))
            return _ORIENTATIONS.get(signs, 1)
    return 1


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
