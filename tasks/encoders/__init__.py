"""Encoders: pictures and texts to vectors of one space. Importing this loads no model and no torch.

``name`` is ``bundled``, the hub name of a CLIP or SigLIP model, or a folder that holds one.
"""

from __future__ import annotations

from pathlib import Path

from tasks.encoders.protocols import Floats, ImageEncoder, Space, TextEncoder

BUNDLED = "bundled"


def space_of(name: str) -> Space:
    """The space of an encoder, without loading a tower. Cheap for ``bundled``."""
    if name == BUNDLED:
        from tasks.encoders.bundled import bundled_space  # noqa: PLC0415 - each family loads only its own

        return bundled_space()
    from tasks.encoders.checkpoint import read_space  # noqa: PLC0415 - as above

    return read_space(name)


def load_image_encoder(
    name: str, *, cache_dir: Path, threads: int | None = None, test_time_augmentation: bool = False
) -> ImageEncoder:
    """Load the picture side of an encoder and nothing else. ``threads``: how many torch may use.

    ``test_time_augmentation``: the bundled encoder averages an image and its mirror image. The space does not
    change, so captions keep their vectors. Other encoders ignore it.
    """
    if name == BUNDLED:
        from tasks.encoders.bundled import BundledImageEncoder  # noqa: PLC0415 - as above

        return BundledImageEncoder(cache_dir, threads=threads, mirrored=test_time_augmentation)
    from tasks.encoders.huggingface import HFImageEncoder  # noqa: PLC0415 - as above

    return HFImageEncoder(name, threads=threads)


def reference_vectors(name: str, *, cache_dir: Path) -> Floats | None:
    """The vectors (m, dimension) of pictures of every kind; ``None`` where none are known.

    For ``bundled`` they are the classes'. They come from the cache, which either encoder fills; only where it is
    empty is the sentence model loaded.
    """
    if name != BUNDLED:
        return None
    from tasks.encoders.bundled import class_vectors  # noqa: PLC0415 - as above

    return class_vectors(cache_dir)[1]


def load_text_encoder(name: str, *, cache_dir: Path, threads: int | None = None) -> TextEncoder:
    """Load the text side of an encoder and nothing else. ``threads``: how many torch may use."""
    if name == BUNDLED:
        from tasks.encoders.bundled import BundledTextEncoder  # noqa: PLC0415 - as above

        return BundledTextEncoder(cache_dir, threads=threads)
    from tasks.encoders.huggingface import HFTextEncoder  # noqa: PLC0415 - as above

    return HFTextEncoder(name, threads=threads)
