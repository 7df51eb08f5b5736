"""Shows that the benchmark of sweeps measures passes over all of its bucket, in which nothing is looked up."""

from __future__ import annotations

import pytest

from ops.bench.reconcile import BUCKET, MadeUp, measure
from vectordb.errors import Permanent


def test_the_bucket_lists_as_a_store_does_and_only_that() -> None:
    store = MadeUp(300)
    keys = [info.ref.key for info in store.list(BUCKET)]
    assert keys == sorted(set(keys))
    assert len(keys) == 300
    prefix = keys[150][:8]
    assert [info.ref.key for info in store.list(BUCKET, prefix)] == [key for key in keys if key.startswith(prefix)]
    assert [info.ref.key for info in store.list(BUCKET, after=keys[200])] == keys[201:]
    assert list(store.list(BUCKET)) == list(store.list(BUCKET))
    with pytest.raises(Permanent, match="looked up"):
        store.stat(BUCKET, keys[0])


@pytest.mark.usefixtures("redis_url")  # skips where there is no Redis
def test_every_pass_sees_everything_and_tells_nothing() -> None:
    report = measure(1200, 2)
    assert report["objects"] == 1200
    assert [(one["seen"], one["sent"], one["gone"]) for one in report["passes"]] == [(1200, 0, 0)] * 2
    assert all(one["seconds"] > 0 and one["memory_mb"]["resident"] > 0 for one in report["passes"])
    assert report["reached"] is True
