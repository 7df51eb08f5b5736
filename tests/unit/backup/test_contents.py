"""A backup decides about every key of the layout."""

from __future__ import annotations

import re

import pytest

from workers.backup.contents import BY_PATTERN, KINDS, RULES, celerys, rule_of
from workers.redis import keys

LAYOUT = dict(
    re.findall(r"^``P ([^`]+)`` +(string|hash|sorted set|set|list|stream)\b", keys.__doc__ or "", re.MULTILINE)
)


def test_the_table_has_every_key_of_the_layout_page_and_no_other() -> None:
    assert len(LAYOUT) > 60
    assert {rule.pattern: rule.kind for rule in RULES} == {name: KINDS[kind] for name, kind in LAYOUT.items()}
    assert len(RULES) == len(BY_PATTERN)
    assert all(rule.reason for rule in RULES)


@pytest.mark.parametrize("name", [
    ("record:inbox/a:b.jpg", "record:OID"), ("record:inbox/\udcff\n.jpg", "record:OID"), ("records", "records"),
    ("batch:ab12", "batch:ID"), ("batch:ab12:open", "batch:ID:open"), ("batches:unfinished", "batches:unfinished"),
    ("notify:waiting:mine", "notify:waiting"), ("notify:receivers", "notify:receivers"), ("tag:a/b", "tag:FORM"),
    ("tag-spellings:cat", "tag-spellings:FORM"), ("inbox:low-priority:once", "inbox:low-priority:once"),
    ("embedding", None), ("anything", None), ("b:record:x", None), ("record:", None),
])  # fmt: skip
def test_a_key_is_known_by_its_name(name: tuple[str, str | None]) -> None:
    rule = rule_of(name[0].encode("utf-8", "surrogateescape"))
    assert (rule.pattern if rule else None) == name[1]


def test_the_keys_of_celery_are_told_from_unknown_ones() -> None:
    for name in (b"embedding", b"retrieval\x06\x163", b"unacked", b"unacked_index", b"_kombu.binding.celery.pidbox"):
        assert celerys(name), name
    assert not celerys(b"anything")
