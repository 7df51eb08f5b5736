"""Conditions and word vectors of images in the form of Qdrant Edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import qdrant_edge as edge

from vectordb.image_points import TAKEN
from vectordb.images import ImageFilter, word_id


def sparse(words: Mapping[str, float]) -> edge.SparseVector:
    """The sparse vector of weighted words."""
    by_id = {word_id(word): weight for word, weight in words.items()}
    return edge.SparseVector(list(by_id), list(by_id.values()))


def filter_of(where: ImageFilter) -> edge.Filter | None:
    """The library's filter; ``None`` for everything."""
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
