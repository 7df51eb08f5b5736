"""Shows that the benchmark of encoders measures each format and batch, and our encoders around them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops.bench import encoders
from ops.bench.__main__ import main


@pytest.mark.long
def test_the_short_mode_measures_everything_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encoders", "--model", "random-tiny", "--device", "cpu", "--short", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert {"machine", "versions", "load_after", "conditions"} <= found.keys()
    assert (found["device"]["name"], found["conditions"]["threads"] > 0) == ("cpu", True)
    for kind in ("image", "text"):
        cells = {(row["dtype"], row["attention"], row["batch"]) for row in found[f"bare_{kind}"]}
        own = found[kind]["description"]
        for batch in (*encoders.SHORT.batches, own["batch"]):
            assert {("float32", "sdpa", batch), ("float32", "eager", batch), (own["dtype"], "sdpa", batch)} <= cells
        assert all(row["median"] > 0 for row in found[f"bare_{kind}"])
        assert all(found[kind][name]["median"] > 0 for name in ("encode", "bare"))
        assert found[kind]["ratios"]["encode"]["median"] > 0
    assert found["image"]["with_decoding"]["median"] > 0
    assert found["image"]["ratios"]["with_decoding"]["median"] > 0


@pytest.mark.long
def test_a_table_names_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encoders", "--model", "random-tiny", "--device", "cpu", "--short"]) == 0
    table = capsys.readouterr().out
    parts = (
        "image model",
        "text model",
        "our image encoder",
        ", decoding",
        "our text encoder",
        "over the model alone",
    )
    for part in parts:
        assert part in table


def test_a_device_that_is_not_there_ends_it_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encoders", "--device", "cuda:99", "--model", "random-tiny"]) == 1
    said = capsys.readouterr().err
    assert "the device cuda:99 cannot be used" in said
    assert len(said.splitlines()) == 1
