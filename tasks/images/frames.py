"""Chooses the frame of an animation that is looked at: the first one that shows something."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from tasks.images.errors import TruncatedImage
from tasks.images.transparency import one_colour

FRAMES = 32  # frames of an animation that are looked at
_FRAME_PIXELS = 240_000_000  # pixels of all these frames together
BLANK = 10  # levels that the noise of lossy compression spans


def first_shown(frames: int, pixels: int, read: Callable[[int], Image.Image]) -> Image.Image:
    """The first frame that is not of one colour, of the first ``FRAMES``; the first one if there is none.

    ``frames``: how many there are; ``pixels``: of one; ``read``: decodes one as RGB. Raises what it raises for the
    first frame, and ``TruncatedImage`` for any that is looked at.
    """
    most = max(2, min(frames, FRAMES, _FRAME_PIXELS // max(1, pixels)))
    first = read(0)
    if not one_colour(first, BLANK):
        return first
    for at in range(1, min(frames, most)):
        try:
            frame = read(at)
        except TruncatedImage:
            raise
        except MemoryError:
            raise
        except Exception:  # a damaged later frame does not matter if none before it shows something
            break
        if not one_colour(frame, BLANK):
            return frame
    return first
