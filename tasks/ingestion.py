"""Ingestion: captions in. Texts to vectors, and to what the extraction stage would find in them.

The stage is the same in the importing process, in its pool of processes and on the ``ingestion`` queue: a chunk is
encoded as one, so that the same captions get the same vectors wherever it happens.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tasks.encoders.protocols import TextEncoder
from tasks.extraction.phrases import Phrases
from tasks.messages import Message, Parsed, Vectors, WrongSpace
from vectordb.captions import CANDIDATES


class Ingested(Message, frozen=True, kw_only=True, tag_field="kind", tag="ingested/1"):
    """``vectors``: one unit vector a text; ``parsed``: what each gives, empty where nobody asked."""

    vectors: Vectors
    parsed: tuple[Parsed, ...] = ()

    def payloads(self) -> list[Mapping[str, object]]:
        """What is kept with each caption; empty where nothing was parsed."""
        return [{CANDIDATES: msgspec.to_builtins(one)} for one in self.parsed]


class Ingesting(Message, frozen=True, kw_only=True, tag_field="kind", tag="ingesting/1"):
    """Texts for one space. ``vectors``: given where the source has them. ``parse``: say what each gives, too."""

    texts: tuple[str, ...]
    space_id: str
    vectors: Vectors | None = None
    parse: bool = False


def ingest(batch: Ingesting, encoder: TextEncoder | None, phrases: Phrases) -> Ingested:
    """Encode, unless the vectors are there; parse, if asked. Raises ``WrongSpace`` for texts of another space."""
    vectors = batch.vectors
    if vectors is None:
        if encoder is None or encoder.space.id != batch.space_id:
            have = "none" if encoder is None else encoder.space.id
            raise WrongSpace(f"the captions are for space {batch.space_id}, this worker's encoder is {have}")
        vectors = Vectors.of(encoder.encode(batch.texts))
    return Ingested(vectors=vectors, parsed=tuple(phrases.parse(batch.texts)) if batch.parse else ())
