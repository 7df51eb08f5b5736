"""Which statements hold for a version of an object, and the record with what people and exemplars say."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec.structs import replace

from tasks.copies import COARSE, DETAILS, SMALL_PARTS
from tasks.images.perceptual_hash import has_small_parts, variants, words_of
from tasks.labels.index_form import index_form
from tasks.message_parts import Judgement, Tag, Unknown
from workers.lifecycle.record import Record
from workers.lifecycle.statements import Statement


def holding(statements: Sequence[Statement], etag: str, number: bytes | None) -> list[Statement]:
    """Those that hold for a version of the object: ``number`` is its perceptual hash, if it has one."""
    return [one for one in statements if one.etag == etag or same_picture(one.hash, number)]


def same_picture(one: bytes | None, other: bytes | None) -> bool:
    """Whether two perceptual hashes are of one picture, in any orientation.

    As for duplicates, pictures of small parts must agree in nearly all details: forms of one layout look the same to
    coarse hashes.
    """
    if one is None or other is None:
        return False
    pair = words_of([one, other])
    most = SMALL_PARTS if has_small_parts(pair).any() else DETAILS
    differing = np.bitwise_count(variants(pair[:1]) ^ pair[1]).astype(int)[:, 0]
    return bool(((differing[:, 0] <= COARSE) & (differing[:, 1:].sum(axis=1) <= most)).any())


def composed(record: Record, statements: Sequence[Statement], judgement: Judgement) -> Record:
    """The record with what people said of the object, and what exemplars say of it.

    Accepted labels come first, then by strength. Rejected and withheld labels are left out; a person's word about the
    object itself counts more than any exemplar. What was said before, and is not any more, is taken back.
    """
    unsaid = record.rejected is msgspec.UNSET and all(tag.source != "person" for tag in record.tags)
    if record.state != "done" or (unsaid and not (statements or judgement.gained or judgement.withheld)):
        return record
    said = {index_form(one.label): one for one in statements}
    tags = {index_form(tag.label): tag for tag in record.tags}
    tags = {
        form: tag for form, tag in tags.items()
        if form not in said and tag.source != "person" and not judgement.withholds(tag.label)
    }  # fmt: skip
    for likeness in judgement.gained:
        form = index_form(likeness.label)
        if form not in said and (form not in tags or tags[form].strength < likeness.confidence):
            known = tags.get(form) or Tag(likeness.label, likeness.confidence, 0.0, 0.0)
            tags[form] = replace(known, confidence=likeness.confidence, source="example", example=likeness)
    accepted = [_accepted(one, record.tags) for one in statements if one.accepted]
    order = (*accepted, *sorted(tags.values(), key=lambda tag: -tag.strength))
    rejected = tuple(one.label for one in statements if not one.accepted)
    because = record.unknown_because or (Unknown("rejected") if rejected or judgement.withheld else None)
    return replace(
        record, tags=order, unknown=not order, unknown_because=None if order else because,
        rejected=rejected or msgspec.UNSET,
    )  # fmt: skip


def _accepted(statement: Statement, tags: Sequence[Tag]) -> Tag:
    """The tag that a person accepted, with the scores of the method if it found the label, too."""
    form = index_form(statement.label)
    known = next((tag for tag in tags if index_form(tag.label) == form), Tag(statement.label, 1.0, 0.0, 0.0))
    return replace(known, label=statement.label, confidence=1.0, source="person", example=msgspec.UNSET)


def outdated(record: Record, statements: Sequence[Statement], judgement: Judgement) -> bool:
    """Whether a record was composed of something else than what people and exemplars say now.

    ``statements``: those that hold. Scores do not count: they differ in the last digits.
    """
    gained = {index_form(likeness.label) for likeness in judgement.gained}
    lost = any(tag.source == "example" and index_form(tag.label) not in gained for tag in record.tags)
    return lost or _labels(composed(record, statements, judgement)) != _labels(record)


def _labels(record: Record) -> tuple[set[tuple[str, object]], set[str]]:
    rejected = () if record.rejected is msgspec.UNSET else record.rejected
    return {(index_form(tag.label), tag.source) for tag in record.tags}, set(map(index_form, rejected))
