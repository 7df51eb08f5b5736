"""Which zeros are cut out of an append-only file, and what is left as it is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from workers.embedded.aof_repair import repair
from workers.redis.server_program import PARTS


def command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


ONE = command(b"SET", b"a", b"\r\n\0\0*1\r\n$1\r\nx\r\n\0")  # a value that looks like a hole
TWO = command(b"MULTI") + command(b"RPUSH", b"b", b"") + command(b"EXEC")
NOTE = b"#TS:1764585600\r\n"


def written(folder: Path, *contents: bytes) -> list[Path]:
    """Files of these contents, with their manifest."""
    parts = folder / PARTS
    parts.mkdir()
    names = [f"appendonly.aof.{number}.incr.aof" for number in range(1, len(contents) + 1)]
    lines = [f"file {name} seq {number} type i" for number, name in enumerate(names, 1)]
    lines.insert(0, "file appendonly.aof.1.base.rdb seq 1 type b")
    (parts / "appendonly.aof.manifest").write_text("\n".join(lines) + "\n")
    (parts / "appendonly.aof.1.base.rdb").write_bytes(b"REDIS0011\0\0\0")
    for name, content in zip(names, contents, strict=True):
        (parts / name).write_bytes(content)
    return [parts / name for name in names]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ONE + TWO + b"\0" * 5000 + ONE, ONE + TWO + ONE),
        (b"\0" + TWO, TWO),
        (ONE + b"\0" * 3 + TWO + b"\0" * 40 + NOTE + ONE, ONE + TWO + NOTE + ONE),
        (ONE + TWO + b"\0" * 4096, ONE + TWO),
        (ONE + b"\0" * 10 + TWO[:-4], ONE + TWO[:-4]),  # Redis cuts off the last command itself
        (ONE + TWO[:-4] + b"\0" * 4096, ONE + TWO[: TWO.index(command(b"EXEC"))]),
        (ONE + b"*" + b"\0" * 9, ONE),
        (b"\0" * 100, b""),
    ],
    ids=["between", "first", "two", "at the end", "before a short one", "after a short one", "in a head", "all"],
)
def test_zeros_are_cut_out_and_the_damaged_file_is_kept(tmp_path: Path, before: bytes, after: bytes) -> None:
    (file,) = written(tmp_path, before)
    assert repair(tmp_path) == [file.name]
    assert file.read_bytes() == after
    (kept,) = (tmp_path / "damaged").iterdir()
    assert kept.read_bytes() == before
    assert repair(tmp_path) == []


@pytest.mark.parametrize(
    "content",
    [
        b"", ONE, ONE + TWO + NOTE, ONE + TWO[:-4], ONE + b"nonsense", ONE + b"\0" * 9 + b"nonsense",
        ONE + b"\0\0" + b"*1\r\n$3\r\nabcde\r\n" + TWO, b"*1\r\n$3\r\nabcd\r\n" + b"\0" * 9 + ONE,
        ONE + b"*1\r\n$x\r\n" + b"\0" * 9,
    ],
)  # fmt: skip
def test_everything_else_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (file,) = written(tmp_path, content)
    assert repair(tmp_path) == []
    assert file.read_bytes() == content
    assert not (tmp_path / "damaged").exists()


def test_only_the_last_file_may_end_with_a_command_that_was_cut_off(tmp_path: Path) -> None:
    contents = TWO[:-4] + b"\0" * 9, ONE + b"\0" * 9 + ONE
    first, second = written(tmp_path, *contents)
    assert repair(tmp_path) == [second.name]
    assert first.read_bytes() == contents[0]
    assert second.read_bytes() == ONE + ONE


def test_nothing_is_lost_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = ONE + b"\0" * 9 + TWO
    (file,) = written(tmp_path, content)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("workers.embedded.aof_repair.os.fsync", full)
    assert repair(tmp_path) == []
    assert file.read_bytes() == content
    assert [one.name for one in file.parent.glob("*draft*")] == []


def test_few_damaged_files_are_kept(tmp_path: Path) -> None:
    (file,) = written(tmp_path, b"")
    for number in range(1, 6):
        file.write_bytes(ONE * number + b"\0")
        assert repair(tmp_path)
    kept = sorted(len(one.read_bytes()) for one in (tmp_path / "damaged").iterdir())
    assert kept == [4 * len(ONE) + 1, 5 * len(ONE) + 1]


def test_a_home_without_data_has_nothing_to_repair(tmp_path: Path) -> None:
    assert repair(tmp_path) == []
    (tmp_path / PARTS).mkdir()
    assert repair(tmp_path) == []


def test_holes_at_any_boundaries_are_found(tmp_path: Path) -> None:
    chance = random.Random(1)
    commands = [command(*(chance.randbytes(chance.randrange(40)) for _ in range(chance.randrange(1, 5))))
                for _ in range(300)]  # fmt: skip
    (file,) = written(tmp_path, b"")
    for _ in range(20):
        holes = set(chance.sample(range(301), 3))
        pieces = [b"\0" * chance.randrange(1, 50) * (at in holes) + one for at, one in enumerate([*commands, b""])]
        file.write_bytes(b"".join(pieces))
        repair(tmp_path)
        assert file.read_bytes() == b"".join(commands)
