"""A chaos run knows to whom each key of Redis and each file of a home belongs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.chaos.home_files import Owners, leaked_files, leaked_temporary, leaks
from ops.chaos.key_leaks import key_rule
from ops.chaos.key_rules import RULES, Key, Known
from workers.backup.contents import BY_PATTERN

MEMBER = (5).to_bytes(5, "big")
KNOWN = Known(
    bucket="inbox", objects={"inbox/a.jpg"}, records={"inbox/a.jpg"}, numbers={MEMBER: "inbox/a.jpg"}, tags={"cat"},
    stated={"inbox/gone.jpg"}, batches={"b1"}, api_keys={"k1"}, receivers={"default", "mine"}, feed_length=1000,
    keys={b"tag:cat", b"follow:f1", b"statements:inbox/gone.jpg"},
)  # fmt: skip


def test_there_is_a_rule_for_every_row_of_the_layout_and_no_other() -> None:
    assert set(RULES) == set(BY_PATTERN), "say in ops/chaos/key_rules.py to whom the keys of this row belong"


def found(name: str, values: object = (), ttl: int = -1, length: int | None = None) -> list[str]:
    rule, part, _ = key_rule(name.encode())
    assert rule is not None
    many = len(values) if length is None else length  # type: ignore[arg-type]  # a collection
    return list(rule(KNOWN, Key(name.encode(), part, ttl, many, values)))  # type: ignore[arg-type]  # the same


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("record:inbox/a.jpg", ()), ("objects", [b"inbox/a.jpg"]), ("records", [MEMBER]), ("inbox", []),
        ("numbered:0", {b"5": b"inbox/a.jpg"}), ("tag:cat", [MEMBER]), ("tags", [b"cat"]),
        ("tag-spellings:cat", [b"Cat"]), ("statements:inbox/gone.jpg", ()), ("stated", [b"inbox/gone.jpg"]),
        ("notify:counts:mine", {b"dead": b"1"}),
        ("notify:dead", [b"1-0"]), ("feed", [b"1-0"]), ("follows", [b"f1"]), ("artifacts", [b"inbox/a.jpg"]),
        ("embedding", []), ("_kombu.binding.celery", [b"x"]), ("layout-version", ()), ("batches:unfinished", [b"b1"]),
        ("ledger:queue:scoring", []), ("mount:inbox", ()),
    ],
)  # fmt: skip
def test_what_belongs_to_something_is_no_leak(name: str, values: object) -> None:
    assert found(name, values) == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("record:inbox/b.jpg", ()), ("objects", [b"inbox/b.jpg"]), ("records", [b"\0\0\0\0\6"]), ("inbox", [b"1-0"]),
        ("numbered:0", {b"6": b"inbox/a.jpg"}), ("numbered:0", {b"5": b"inbox/b.jpg"}), ("tag:dog", [MEMBER]),
        ("tag:cat", [b"\0\0\0\0\6"]), ("tags", [b"dog"]), ("tag-spellings:dog", [b"Dog"]),
        ("statements:inbox/b.jpg", ()), ("stated", [b"inbox/b.jpg"]), ("notify:counts:other", {b"dead": b"1"}),
        ("follows", [b"f2"]), ("artifacts", [b"inbox/b.jpg"]), ("embedding", [b"x"]),
        ("retag-marks", {b"inbox/b.jpg": b"n1-0"}),
        ("batches:unfinished", [b"b2"]), ("ledger:queue:old", []), ("mount:other", ()), ("cache:x", ()),
        ("entry:inbox/a.jpg", {b"ref": b""}), ("next:record:inbox/a.jpg", ()), ("lock:x", ()), ("rpc:x", []),
    ],
)  # fmt: skip
def test_what_belongs_to_nothing_is_one(name: str, values: object) -> None:
    assert len(found(name, values)) == 1


def test_lifetimes_and_owners_count_both() -> None:
    assert found("cache:x", ttl=5) == found("batch:b1:open", [b"inbox/a.jpg"], ttl=5) == []
    assert found("page-sessions:admin", [b"x"], ttl=5) == found("page-sessions:k1", [b"x"], ttl=5) == []
    assert found("batch:b2:open", [b"inbox/a.jpg"], ttl=5) == ["is of a batch that there is not"]
    assert found("page-sessions:k2", [b"x"], ttl=5) == ["is of an API key that there is not"]
    assert found("segmentation-request:inbox/b.jpg", ttl=5) == ["is of an object that there is not"]


@pytest.mark.parametrize(("name", "length"), [("feed", 1201), ("events:probes", 401), ("searches", 701)])
def test_what_is_trimmed_may_not_be_longer(name: str, length: int) -> None:
    assert len(found(name, [b"x"], length=length)) == 1
    assert found(name, [b"x"], length=length - 1) == []


def test_a_key_of_no_row_is_a_leak() -> None:
    assert key_rule(b"anything")[0] is None


OWNERS = Owners({"starter@1"}, {"gateway"}, 2)


@pytest.mark.parametrize(
    "name",
    [
        "captions/space/starter@1/index/shard/x", "captions/space/active", "logs/gateway.log", "logs/gateway.log.2",
        "run/lock", "images/space/images/shard/x", "images/space/images.damaged-2/x", "redis/appendonlydir/x",
    ],
)  # fmt: skip
def test_files_that_belong_to_something(name: str) -> None:
    assert list(leaks(name, OWNERS)) == []


@pytest.mark.parametrize(
    "name",
    [
        "captions/space/starter@2/manifest.json", "captions/space/.starter@2.lock",
        "captions/space/.starter@1.building/x", "logs/old.log", "logs/gateway.log.3",
        "images/space/images.damaged-3/x", "anything", "run/stack.json",
        "run/redis.sock", ".gateway.key-12ab", "run/metrics/.counter", "captions/space/x.part",
    ],
)  # fmt: skip
def test_and_files_that_do_not(name: str) -> None:
    assert len(list(leaks(name, OWNERS))) == 1


def test_the_folders_of_a_run_are_searched(tmp_path: Path) -> None:
    for name in ("inbox/a.jpg", "own-redis/log", "up.log", "anything"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert list(leaked_files(tmp_path, OWNERS)) == ["the file anything is of no known kind"]
    temporary = tmp_path / "temporary"
    abandoned = temporary / "wildtag-worker-abcd1234"
    temporary.mkdir()
    abandoned.mkdir(mode=0o700)
    (abandoned / "owner").write_bytes(b"")
    (temporary / "other").write_bytes(b"")
    assert list(leaked_temporary(temporary)) == ["the temporary file other"]
