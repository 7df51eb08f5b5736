"""Ingestion: converts caption texts to vectors and, if requested, parses them for the extraction stage.

The stage is the same in the importing process, in its process pool and on the ``ingestion`` queue. A chunk is encoded
as one batch, so the same captions get the same vectors everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tasks.encoders.protocols import TextEncoder
from tasks.extraction.phrases import Phrases
from tasks.message_parts import Parsed, Vectors
from tasks.messages import Message, WrongSpace
from vectordb.captions import CANDIDATES


class Ingested(Message, frozen=True, kw_only=True, tag_field="kind", tag="ingested/1"):
    """``vectors``: one unit vector per text; ``parsed``: one result per text, empty if not requested."""

    vectors: Vectors
    parsed: tuple[Parsed, ...] = ()

    def payloads(self) -> list[Mapping[str, object]]:
        """Additions to the payload of each caption; empty if nothing was parsed."""
        return [{CANDIDATES: msgspec.to_builtins(one)} for one in self.parsed]


class Ingesting(Message, frozen=True, kw_only=True, tag_field="kind", tag="ingesting/1"):
    """Texts for one space. ``vectors``: if the source has them. ``parse``: also parse the texts."""

    texts: tuple[str, ...]
    space_id: str
    vectors: Vectors | None = None
    parse: bool = False


def ingest(batch: Ingesting, encoder: TextEncoder | None, phrases: Phrases) -> Ingested:
    """Encode texts without vectors, and parse them if requested. Raises ``WrongSpace`` for another space."""
    vectors = batch.vectors
    if vectors is None:
        if encoder is None or encoder.space.id != batch.space_id:
            have = "none" if encoder is None else encoder.space.id
            raise WrongSpace(
                f"the captions are for space {batch.space_id}, but this worker's encoder uses {have}: use the"
                " same encoder"
            )
        vectors = Vectors.of(encoder.encode(batch.texts))
    return Ingested(vectors=vectors, parsed=tuple(phrases.parse(batch.texts)) if batch.parse else ())
