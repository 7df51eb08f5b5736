"""Records, statements and judgements for tests of what people say."""

from __future__ import annotations

from tasks.message_parts import Judgement, Likeness, Tag
from workers.lifecycle.record import Evidence, Record
from workers.lifecycle.statements import Statement

BUCKET, KEY, ETAG = "inbox", "cat.jpg", "e1"


def record(*tags: Tag | str, key: str = KEY, etag: str = ETAG, captions: tuple[str, ...] = ()) -> Record:
    """A record with these tags, each with less confidence than the one before it."""
    made = [
        one if isinstance(one, Tag) else Tag(one, 0.5, 0.5, 0.5, confidence=round(0.9 - n / 10, 1))
        for n, one in enumerate(tags)
    ]
    return Record(
        bucket=BUCKET, key=key, etag=etag, state="done", tags=tuple(made), unknown=not made, space_id="space",
        captions_version="captions@1", evidence=tuple(Evidence(caption, 0.5) for caption in captions),
    )  # fmt: skip


def said(label: str, *, accepted: bool = True, etag: str = ETAG, number: bytes | None = None) -> Statement:
    return Statement(label, accepted, etag, 1.0, number)


def like(label: str, confidence: float = 0.8, key: str = "p017.jpg") -> Likeness:
    return Likeness(label, f"{BUCKET}/{key}", 0.97, confidence)


def gained(*likenesses: Likeness) -> Judgement:
    return Judgement(gained=likenesses)


def withheld(*likenesses: Likeness) -> Judgement:
    return Judgement(withheld=likenesses)
