"""What ``examples import`` makes of files that are no examples. No stack runs: the file is read first."""

from __future__ import annotations

from pathlib import Path

import pytest

from vectordb.errors import Permanent
from workers.cli.teach import import_


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\n", "line 1"),
        (b'{"key": "\xff.jpg", "label": "cat"}\n', "line 1"),
        (b'{"key": "a.jpg", "label": "cat"}\n\n{"key": "b.jpg"}\n', "line 3"),
        (b'{"key": "a.jpg", "label": "cat", "acepted": false}\n', "acepted"),
    ],
)
def test_a_file_that_is_no_list_of_examples_is_refused_with_its_line(tmp_path: Path, data: bytes, said: str) -> None:
    file = tmp_path / "examples.jsonl"
    file.write_bytes(data)
    with pytest.raises(Permanent, match=said):
        import_(file)
