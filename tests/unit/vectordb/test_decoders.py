"""Types are decoded in several threads at once; the first time, too."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from vectordb.decoders import converted, from_json, from_msgpack

ROOT = Path(__file__).parents[3]
MAY_MAKE_DECODERS = {
    "vectordb/decoders.py",
    "vectordb/readers/json_lines.py",  # of a type that is made there and contains no other
}
FIRST_IN_EIGHT_THREADS = """
from __future__ import annotations
import sys, threading
import msgspec
from vectordb.decoders import from_json, from_msgpack
from workers.lifecycle.record import Record
sys.setswitchinterval(1e-6)
text = b'{"bucket": "b", "key": "k", "etag": "e", "state": "done", "space_id": "s", "captions_version": "c"}'
packed = msgspec.msgpack.encode(msgspec.json.decode(text))
start = threading.Barrier(8)
decoded = []
def decode(number):
    start.wait()
    decoded.append(from_json(text, Record) if number % 2 else from_msgpack(packed, Record))
threads = [threading.Thread(target=decode, args=[number]) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(decoded) == 8 and decoded[0].key == "k"
"""


class Shape(msgspec.Struct):
    sides: int


def test_values_are_decoded_and_refused() -> None:
    assert from_json(b'{"sides": 3}', Shape) == from_msgpack(msgspec.msgpack.encode({"sides": 3}), Shape) == Shape(3)
    assert converted({"sides": 3}, Shape) == Shape(3)
    assert from_json("[1]", list[int]) == [1]
    for _ in range(2):
        with pytest.raises(msgspec.ValidationError):
            from_json(b'{"sides": "many"}', Shape)


def test_a_type_is_first_decoded_in_several_threads() -> None:
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", FIRST_IN_EIGHT_THREADS], cwd=ROOT, check=False)
        assert done.returncode == 0


def test_nothing_is_decoded_to_a_type_elsewhere() -> None:
    found = []
    for folder in ("tasks", "vectordb", "workers"):
        for file in (ROOT / folder).rglob("*.py"):
            if str(name := file.relative_to(ROOT)) in MAY_MAKE_DECODERS:
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if called in {"msgspec.json.Decoder", "msgspec.msgpack.Decoder", "msgspec.convert"} or (
                    called in {"msgspec.json.decode", "msgspec.msgpack.decode"}
                    and any(keyword.arg == "type" for keyword in node.keywords)  # type: ignore[attr-defined]
                ):
                    found.append(f"{name}:{node.lineno}")  # type: ignore[attr-defined]
    assert found == []
