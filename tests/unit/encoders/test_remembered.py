"""Shows when measurements are reused, and when they are not."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec
import pytest

from tasks.encoders.runtimes import ONNX_FLOAT32, TORCH_BFLOAT16, TORCH_FLOAT32, Plan, usual
from tasks.encoders.tuning.remembered import Measured, Tuning, key_of, plan_for, read_tuning, write_tuning

FAST, WIDE, OTHER = Plan(TORCH_BFLOAT16, 8), Plan(ONNX_FLOAT32, 4, 2), Plan(ONNX_FLOAT32, 2, 2)


def tuning(key: dict[str, str]) -> Tuning:
    rates = {FAST: 30.0, WIDE: 20.0, OTHER: 10.0}
    measured = [Measured(side="image", plan=plan, rate=rate, cosine=1.0) for plan, rate in rates.items()]
    return Tuning(key=key, measured=measured, plans={"image": FAST, "text": WIDE})


def test_what_was_measured_is_read_again(tmp_path: Path) -> None:
    key = key_of("clip-8-abc", 2)
    assert read_tuning(tmp_path, key) is None
    assert plan_for(tmp_path, "clip-8-abc", "image", "auto", 2) is None
    write_tuning(tmp_path, tuning(key))
    assert read_tuning(tmp_path, key) == tuning(key)
    assert plan_for(tmp_path, "clip-8-abc", "image", "auto", 2) == FAST
    assert plan_for(tmp_path, "clip-8-abc", "text", "auto", 2) == WIDE


def test_a_named_runtime_takes_its_fastest_sizes_or_the_usual_ones(tmp_path: Path) -> None:
    write_tuning(tmp_path, tuning(key_of("clip-8-abc", 2)))
    assert plan_for(tmp_path, "clip-8-abc", "image", ONNX_FLOAT32, 2) == WIDE
    assert plan_for(tmp_path, "clip-8-abc", "image", TORCH_FLOAT32, 2) == usual(TORCH_FLOAT32, "image", 2)
    assert plan_for(tmp_path, "clip-8-abc", "text", ONNX_FLOAT32, 2) == usual(ONNX_FLOAT32, "text", 2)


@pytest.mark.parametrize("what", ["space", "cores", "code", "cpu", "flags", "torch", "onnxruntime", "transformers"])
def test_another_model_machine_or_version_is_measured_again(tmp_path: Path, what: str) -> None:
    key = key_of("clip-8-abc", 2)
    write_tuning(tmp_path, tuning(key))
    assert read_tuning(tmp_path, {**key, what: "another"}) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"key": {}, "measured": [], "plans": {"image": 3}}'])
def test_a_damaged_file_counts_as_not_measured(tmp_path: Path, content: bytes) -> None:
    key = key_of("clip-8-abc", 2)
    write_tuning(tmp_path, tuning(key))
    (file,) = (tmp_path / "tuning").iterdir()
    file.write_bytes(content)
    assert read_tuning(tmp_path, key) is None


def test_a_file_of_another_key_is_not_taken(tmp_path: Path) -> None:
    key = key_of("clip-8-abc", 2)
    write_tuning(tmp_path, tuning(key))
    (file,) = (tmp_path / "tuning").iterdir()
    file.write_bytes(msgspec.json.encode(tuning({**key, "cpu": "another"})))
    assert read_tuning(tmp_path, key) is None


def test_a_folder_that_cannot_be_written_remembers_nothing(tmp_path: Path) -> None:
    (tmp_path / "tuning").write_text("a file in its place")
    key = key_of("clip-8-abc", 2)
    write_tuning(tmp_path, tuning(key))
    assert read_tuning(tmp_path, key) is None


def test_the_key_follows_the_processor(tmp_path: Path) -> None:
    cpu = tmp_path / "cpuinfo"
    found = []
    for model, flags in (("A", "avx fma"), ("A", "fma avx"), ("B", "fma avx"), ("B", "fma avx amx_bf16")):
        cpu.write_text(f"processor : 0\nmodel name\t: {model}\nflags\t\t: {flags}\n")
        found.append(key_of("x", 2, cpu))
    assert found[0] == found[1]
    assert len({repr(key) for key in found}) == 3
    assert key_of("x", 2, tmp_path / "missing")["cpu"] == (platform.processor() or os.uname().machine)
