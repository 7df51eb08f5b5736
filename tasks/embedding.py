"""Embedding: converts images to vectors. The only stage that reads images, and the most expensive one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tasks.encoders.protocols import ImageEncoder
from tasks.encoders.views import encoded_views
from tasks.images import MAX_PIXELS, BadImage, decode_with_media
from tasks.images.decoder import Decoder
from tasks.images.featureless import is_featureless
from tasks.images.perceptual_hash import perceptual_hash
from tasks.message_parts import Fault, Media, ObjectRef, Vectors
from tasks.messages import Embedded, Submitted, WrongSpace

VIEW = "2"  # how images are read and encoded; to be changed when the same file gives other pixels, or other media


def embed(
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
) -> tuple[Embedded, tuple[Fault, ...]]:
    """Decode ``images[i]`` as ``batch.objects[i]`` and encode the valid ones in one call.

    The embedded batch holds only the valid ones and may be empty; each invalid one has a fault with the reason. Large
    images are decoded at a smaller size, at least twice the side that the encoder needs. ``decode``: decodes, by
    default in this process. ``gps``: the media hold
    the place where an image was taken. ``video``: videos are valid, too; the vector of one is the normalised mean of
    its views' vectors. ``detect_featureless``: test each image for whether it shows nothing. Raises ``WrongSpace`` if
    the batch was submitted for another encoder.
    """
    if encoder.space.id != batch.revision.space_id:
        raise WrongSpace(
            f"the batch was submitted for space {batch.revision.space_id}, but this worker's encoder uses"
            f" {encoder.space.id}: run all stages with the same encoder"
        )
    objects: list[ObjectRef] = []
    pictures: list[list[Image.Image]] = []
    media: list[Media] = []
    faults: list[Fault] = []
    for ref, data in zip(batch.objects, images, strict=True):
        try:
            views, about = decode(data, max_pixels=max_pixels, near=encoder.side, gps=gps, video=video)
        except BadImage as exc:
            faults.append(Fault(ref, exc.code, str(exc)))
        else:
            objects.append(ref)
            pictures.append(views)
            media.append(about)
    vectors = np.empty((0, encoder.space.dimension), dtype=np.float32)
    if pictures:
        vectors = encoded_views(pictures, encoder.encode)
        finite = np.flatnonzero(np.isfinite(vectors).all(axis=1)).tolist()
        if len(finite) < len(objects):  # half precision may overflow: only that image fails
            lost = sorted(set(range(len(objects))).difference(finite))
            reason = "the encoder returned no finite vector for this image"
            faults.extend(Fault(objects[at], "no-vector", reason) for at in lost)
            objects = [objects[at] for at in finite]
            media = [media[at] for at in finite]
            pictures = [pictures[at] for at in finite]
            vectors = vectors[finite]
    embedded = Embedded(
        objects=tuple(objects),
        revision=batch.revision,
        timings_ms=batch.timings_ms,
        vectors=Vectors.of(vectors),
        media=tuple(media),
        featureless=tuple(all(map(is_featureless, views)) for views in pictures) if detect_featureless else (),
        hashes=tuple(perceptual_hash(views[0]) for views in pictures),
        view=view,
    )
    return embedded, tuple(faults)
