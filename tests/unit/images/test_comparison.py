"""What of the index of images does not fit the records, and what only looks so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tasks.message_parts import Tag
from vectordb.images import ImageFact
from workers.images.comparison import SETTLED_S, Comparison, Kind
from workers.images.labels import labels_of
from workers.lifecycle.record import Record
from workers.lifecycle.record_versions import RecordVersion

NOW = 1000.0
RECORD = Record(
    bucket="inbox", key="1.jpg", etag="e1", state="done", space_id="s", captions_version="captions@1",
    tags=(Tag("cat", 0.9, 0.9, 0.9),),
)  # fmt: skip
TAGS = labels_of(RECORD).tags
CAT = RecordVersion("inbox/1.jpg", "e1", "captions@1", TAGS)
FACT = ImageFact("inbox", "1.jpg", "e1", TAGS, 1)


def comparison(
    now: RecordVersion | None = CAT, record: Record | None = RECORD, *, changed_at: float = 0.0
) -> Comparison:
    """Of one object; ``now``: its version when it is read."""

    def versions(oids: Sequence[str]) -> list[RecordVersion | None]:
        return [now] * len(oids)

    return Comparison(
        versions, lambda oids, since: [changed_at > since] * len(oids), lambda oids: [record] * len(oids), lambda: NOW
    )


@pytest.mark.parametrize(
    ("fact", "kind"),
    [
        (FACT, None),
        (None, "missing"),
        (replace(FACT, etag="e0"), "outdated"),
        (replace(FACT, tags=("dog",)), "mislabelled"),
        (replace(FACT, tags=()), "mislabelled"),
        (replace(FACT, words=0), "mislabelled"),
    ],
)
def test_a_record_is_compared_with_its_image(fact: ImageFact | None, kind: Kind | None) -> None:
    found = comparison().records([CAT], [fact] if fact else [])
    assert found.faults == (((CAT, kind),) if kind else ())
    assert found.versions == (CAT,)


@pytest.mark.parametrize("now", [None, replace(CAT, etag="e2")])
def test_what_changed_while_the_index_was_read_is_no_fault(now: RecordVersion | None) -> None:
    found = comparison(now).records([CAT], [])
    assert (found.versions, found.faults) == ((), ())


def test_what_is_stored_beside_a_record_is_not_trusted_alone() -> None:
    damaged = replace(CAT, tags=())
    assert comparison(damaged).records([damaged], [FACT]).faults == ()


def test_an_image_without_tags_and_words_needs_none() -> None:
    key = "uploads/01a228a0832355f43bf50df3232493b3.jpg"  # made by chance, so no word
    bare = replace(CAT, oid=f"inbox/{key}", tags=())
    found = comparison(bare).records([bare], [replace(FACT, key=key, tags=(), words=0)])
    assert found.faults == ()


def test_a_record_that_was_just_written_is_on_its_way() -> None:
    assert comparison(changed_at=NOW - SETTLED_S / 2).records([CAT], []).versions == ()
    assert comparison(changed_at=NOW - SETTLED_S).records([CAT], []).of("missing") == [CAT]


def test_an_image_without_a_record_is_orphaned_unless_it_is_on_its_way() -> None:
    assert comparison(None).orphaned([FACT]) == [FACT]
    assert comparison(None, changed_at=NOW).orphaned([FACT]) == []
    assert comparison(replace(CAT, etag="e2")).orphaned([FACT]) == []
