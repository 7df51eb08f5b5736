"""What a record takes of the memory of Redis, as the benchmark measures it."""

from __future__ import annotations

import json

import pytest

from ops.bench.records import main, measure


@pytest.mark.parametrize(("plain", "most"), [(True, 1600), (False, 2200)])
def test_a_record_stays_small(plain: bool, most: int) -> None:
    found = measure(2000, plain=plain)
    assert found["bytes"] < most, found
    assert sum(found["families"].values()) == pytest.approx(found["bytes"], rel=0.15)


@pytest.mark.long
def test_the_benchmark_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--records", "200", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["records"] == 200
    assert found["plain"]["families"]["record:*"] < found["full"]["families"]["record:*"]
