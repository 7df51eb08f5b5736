"""JPEG with more than 8 bits per sample (12 bits, or lossless with up to 16), which Pillow does not open."""

from __future__ import annotations

from PIL import Image

from tasks.images import jpeg
from tasks.images.depth import to_bytes
from tasks.images.errors import DamagedImage, UnsupportedImage, check_size, translated
from tasks.images.orientation import orientation
from tasks.images.source import Source
from tasks.images.structure import Structure


def opened(data: bytes, header: tuple[int, int, int], exif: Structure | None, max_pixels: int) -> Source:
    """``header``: bits, width and height. Read by imagecodecs (extra ``tiff``). Raises a ``BadImage``."""
    bits, width, height = header
    check_size(width, height, max_pixels)

    def load() -> Image.Image:
        try:
            import imagecodecs  # noqa: PLC0415 - an extra
        except ImportError as exc:
            raise UnsupportedImage(f"JPEG with {bits} bits per sample: pip install 'wildtag[tiff]'") from exc
        try:
            whole = jpeg.completed(data, _pixels)
            jpeg.check_pixels(whole, _pixels)
            array = imagecodecs.jpeg_decode(whole)
        except Exception as exc:  # its codecs raise their own errors
            raise translated(exc, "JPEG") from exc
        if array.shape not in {(height, width), (height, width, 3)}:
            raise DamagedImage(f"the JPEG image has the shape {array.shape}, unlike its header")
        return Image.fromarray(to_bytes(array, bits if array.dtype.kind == "u" else None)).convert("RGB")

    return Source("JPEG", width, height, load, turned=orientation(exif), exif=exif)


def _pixels(data: bytes) -> bytes:
    import imagecodecs  # noqa: PLC0415 - an extra

    return bytes(imagecodecs.jpeg_decode(data).tobytes())
