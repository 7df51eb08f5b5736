"""Embedding: converts images to vectors. The only stage that reads images, and the most expensive one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from tasks.encoders.protocols import Floats, ImageEncoder
from tasks.encoders.views import encoded_views
from tasks.images import MAX_PIXELS, BadImage, decode_with_media
from tasks.images.decoder import Decoder
from tasks.images.featureless import is_featureless
from tasks.images.perceptual_hash import perceptual_hash
from tasks.images.small_grey import SmallGrey
from tasks.message_parts import Fault, Media, ObjectRef, Vectors
from tasks.messages import Embedded, Submitted, WrongSpace
from tasks.overlap import InTurn, Overlap

HELD = 64_000_000  # pixels of decoded images that are held at a time: 256 MB
VIEW = "2"  # how images are read and encoded; to be changed when the same file gives other pixels, or other media


def begin(
    batch: Submitted,
    images: Sequence[bytes],
    encoder: ImageEncoder,
    *,
    decode: Decoder = decode_with_media,
    max_pixels: int = MAX_PIXELS,
    gps: bool = False,
    video: bool = False,
    detect_featureless: bool = False,
    view: str = "",
    overlap: Overlap = InTurn(),  # noqa: B008 - has no state
) -> PendingEmbedding:
    """Decode ``images[i]`` as ``batch.objects[i]`` and encode the valid ones, in one call unless they are very large.

    Returns when all are decoded and the last ones are being encoded. Large images are decoded at a smaller size, at
    least twice the side that the encoder needs. ``decode``: decodes, by default in this process. ``gps``: the media
    hold the place where an image was taken. ``video``: videos are valid, too; the vector of one is the normalised
    mean of its views' vectors. ``detect_featureless``: test each image for whether it shows nothing. ``overlap``:
    decodes images ahead, and encodes in groups. Raises ``WrongSpace`` if the batch was submitted for another encoder.
    """
    if encoder.space.id != batch.revision.space_id:
        raise WrongSpace(
            f"the batch was submitted for space {batch.revision.space_id}, but this worker's encoder uses"
            f" {encoder.space.id}: run all stages with the same encoder"
        )
    seen: list[_Seen] = []
    held: list[list[Image.Image]] = []
    parts: list[Callable[[], Floats]] = []
    faults: list[Fault] = []

    def encode_held() -> None:
        if held:
            parts.append(overlap.encoded(partial(encoded_views, tuple(held), encoder.encode)))
            held.clear()

    decoding = partial(decode, max_pixels=max_pixels, near=encoder.side, gps=gps, video=video)
    with closing(overlap.decoded(partial(decoding, data) for data in images)) as decoded:
        for ref, result in zip(batch.objects, decoded, strict=True):
            try:
                views, about = result()
            except BadImage as exc:
                faults.append(Fault(ref, exc.code, str(exc)))
            else:
                if len(held) == overlap.group or sum(map(_pixels, held)) + _pixels(views) > HELD:
                    encode_held()
                held.append(views)
                small = SmallGrey(views[0])
                empty = detect_featureless and _featureless(views, small)
                seen.append(_Seen(ref, about, empty, perceptual_hash(views[0], small)))
    encode_held()
    return PendingEmbedding(
        batch, encoder.space.dimension, tuple(seen), tuple(faults), tuple(parts), view, tested=detect_featureless
    )


def embed(
    batch: Submitted, images: Sequence[bytes], encoder: ImageEncoder, **options: Any
) -> tuple[Embedded, tuple[Fault, ...]]:
    """Embed a batch. The options and errors are those of ``begin``; see ``PendingEmbedding.finish``."""
    return begin(batch, images, encoder, **options).finish()


@dataclass(frozen=True)
class PendingEmbedding:
    """A batch whose images are decoded and being encoded. ``faults``: of the images that could not be decoded.

    ``tested``: whether images were tested for showing nothing. ``_parts``: each waits for the vectors of a group of
    images, (n, ``_dimension``) float32 of unit length, in the order of ``_seen``.
    """

    _batch: Submitted
    _dimension: int
    _seen: tuple[_Seen, ...]
    faults: tuple[Fault, ...]
    _parts: tuple[Callable[[], Floats], ...]
    _view: str
    tested: bool

    def finish(self) -> tuple[Embedded, tuple[Fault, ...]]:
        """Wait for the vectors. Returns the batch of the valid images, which may be empty, and all faults.

        Raises what the encoder raises.
        """
        seen, faults = list(self._seen), list(self.faults)
        nothing = np.empty((0, self._dimension), dtype=np.float32)
        vectors = np.concatenate([nothing, *(part() for part in self._parts)])
        finite = np.flatnonzero(np.isfinite(vectors).all(axis=1)).tolist()
        if len(finite) < len(seen):  # half precision may overflow: only that image fails
            lost = sorted(set(range(len(seen))).difference(finite))
            reason = "the encoder returned no finite vector for this image"
            faults.extend(Fault(seen[at].ref, "no-vector", reason) for at in lost)
            seen = [seen[at] for at in finite]
            vectors = vectors[finite]
        embedded = Embedded(
            objects=tuple(one.ref for one in seen),
            revision=self._batch.revision,
            timings_ms=self._batch.timings_ms,
            vectors=Vectors.of(vectors),
            media=tuple(one.media for one in seen),
            featureless=tuple(one.featureless for one in seen) if self.tested else (),
            hashes=tuple(one.hash for one in seen),
            view=self._view,
        )
        return embedded, tuple(faults)


@dataclass(frozen=True)
class _Seen:
    """What is kept of an image that was decoded."""

    ref: ObjectRef
    media: Media
    featureless: bool
    hash: bytes | None


def _pixels(views: Sequence[Image.Image]) -> int:
    return sum(view.width * view.height for view in views)


def _featureless(views: Sequence[Image.Image], small: SmallGrey) -> bool:
    return is_featureless(views[0], small) and all(map(is_featureless, views[1:]))
