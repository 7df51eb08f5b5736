"""How filters, words and search parameters of the image index are written for Qdrant Edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import qdrant_edge as edge

from vectordb import image_points
from vectordb.image_points import TAKEN
from vectordb.images import ImageFilter
from vectordb.options import IndexOptions

# images of a segment whose vectors are compared after their codes, however few are wanted
RESCORED = 40


def sparse(words: Mapping[str, float]) -> edge.SparseVector:
    """Words with weights as a sparse vector."""
    return edge.SparseVector(*image_points.sparse(words))


def filter_of(where: ImageFilter) -> edge.Filter | None:
    """The conditions; ``None`` without any."""
    must: list[Any] = [
        edge.FieldCondition(key=key, match=edge.MatchValue(value))
        for key, value in (("bucket", where.bucket), ("captions", where.captions_version))
        if value is not None
    ]
    must += [edge.FieldCondition(key="tags", match=edge.MatchValue(tag)) for tag in where.tags]
    if where.prefix:
        must.append(edge.FieldCondition(key="key", match=edge.MatchPrefix(where.prefix)))
    if where.after is not None or where.before is not None:
        must.append(edge.FieldCondition(key=TAKEN, range=edge.RangeDateTime(gte=where.after, lte=where.before)))
    without: list[Any] = []
    if where.not_tags:
        without = [edge.FieldCondition(key="tags", match=edge.MatchAny(list(where.not_tags)))]
    return edge.Filter(must=must, must_not=without) if must or without else None


def search_params(options: IndexOptions, limit: int) -> edge.SearchParams:
    """Of a search for the ``limit`` nearest images."""
    oversampling = max(options.oversampling, RESCORED / max(1, limit))
    # with a filter, the search of a graph goes on through images that do not pass
    beyond = edge.AcornSearchParams(enable=True, max_selectivity=1.0)
    rescored = edge.QuantizationSearchParams(rescore=True, oversampling=oversampling)
    return edge.SearchParams(hnsw_ef=options.ef, quantization=rescored, acorn=beyond)
