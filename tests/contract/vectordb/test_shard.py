"""A shard of Qdrant Edge and those who hold it: owners, forks, kills, threads, and a shard from an older time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import qdrant_edge as edge

from tests.contract.index_homes import DIMENSION, NOISE, OwnClient, captions, everything, vectors_like_texts
from vectordb.captions import Caption
from vectordb.edge import RENEWED, EdgeIndex
from vectordb.index import PAGE, CaptionIndex, IndexFault, IndexLocked, IndexMissing


def test_a_shard_has_one_owner_in_one_process(tmp_path: Path) -> None:
    first = EdgeIndex.create(tmp_path / "shard", DIMENSION)
    with pytest.raises(IndexLocked, match="already open"):
        EdgeIndex.open(tmp_path / "shard")
    first.close()
    EdgeIndex.open(tmp_path / "shard").close()


def test_a_shard_has_one_owner_among_processes(tmp_path: Path) -> None:
    EdgeIndex.create(tmp_path / "shard", DIMENSION).close()
    code = (
        "import sys; from pathlib import Path; from vectordb.edge import EdgeIndex\n"
        "owned = EdgeIndex.open(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "shard")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"open\n"
        with pytest.raises(IndexLocked, match="another process"):
            EdgeIndex.open(tmp_path / "shard")
        owner.kill()  # a killed owner's lock goes with it
        owner.wait()
        EdgeIndex.open(tmp_path / "shard").close()


@pytest.mark.parametrize("create", [EdgeIndex.create, OwnClient.create_at])
def test_a_forked_child_is_refused_rather_than_hung(
    tmp_path: Path, create: Callable[[Path, int], CaptionIndex]
) -> None:
    index = create(tmp_path / "captions", DIMENSION)
    index.add(captions(3), vectors_like_texts(3))
    child = os.fork()
    if child == 0:
        try:
            index.search(vectors_like_texts(1), 1)
        except IndexFault:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert index.count() == 3
    index.close()


@pytest.mark.parametrize("create", [EdgeIndex.create, OwnClient.create_at])
def test_a_closed_index_says_so(tmp_path: Path, create: Callable[[Path, int], CaptionIndex]) -> None:
    index = create(tmp_path / "captions", DIMENSION)
    index.close()
    with pytest.raises(IndexFault, match="closed"):
        index.count()


def test_a_damaged_shard_is_no_index(tmp_path: Path) -> None:
    EdgeIndex.create(tmp_path / "shard", DIMENSION).close()
    for state in (tmp_path / "shard").rglob("segment.json"):
        state.write_text("{")
    with pytest.raises(IndexMissing):
        EdgeIndex.open(tmp_path / "shard")


def test_what_was_added_outlives_a_killed_process(tmp_path: Path) -> None:
    """Every call of ``add`` that returned before a kill -9 is there afterwards, and can be searched."""
    code = """
import sys
from pathlib import Path
from tests.contract.index_homes import DIMENSION, captions, vectors_like_texts
from vectordb.edge import EdgeIndex
index, rows = EdgeIndex.create(Path(sys.argv[1]), DIMENSION), vectors_like_texts(64)
for start in range(0, 10**6, 64):
    index.add(captions(64, start), rows)
    print(start + 64, flush=True)
"""
    place = tmp_path / "index"
    with subprocess.Popen([sys.executable, "-c", code, str(place)], stdout=subprocess.PIPE, text=True) as adding:
        assert adding.stdout is not None
        added = 0
        while added < 2000:
            added = int(adding.stdout.readline())
        adding.kill()
        added = max([added, *map(int, adding.stdout.read().split())])
    index = EdgeIndex.open(place)
    assert {caption.id for caption in captions(added)} <= {caption.id for caption in everything(index)}
    assert index.search(vectors_like_texts(64)[:1], 1)[0].similarities[0] == pytest.approx(1, abs=NOISE)
    index.close()


def test_a_long_import_loses_nothing(tmp_path: Path) -> None:
    """The shard is opened anew in the middle of a call of ``add``: what came before and after it is there."""
    put, rows = captions(RENEWED + 3 * PAGE), vectors_like_texts(RENEWED + 3 * PAGE)
    index = EdgeIndex.create(tmp_path / "index", DIMENSION)
    index.add(put[:100], rows[:100])
    index.add(put, rows)
    assert index.count() == len(put)
    assert index.get([put[0].id, put[-1].id]) == sorted([put[0], put[-1]], key=lambda caption: caption.id)
    assert index.search(rows[-1:], 1)[0].captions == (put[-1],)
    index.close()


def test_captions_of_a_source_are_listed_in_an_index_from_before_sources_were_indexed(tmp_path: Path) -> None:
    """An index made without the index on sources gets one when a source is first asked for."""
    index = EdgeIndex.create(tmp_path / "index", DIMENSION)
    index._shard._shard.update(edge.UpdateOperation.delete_field_index("extra.source"))
    taught = [Caption.of(f"taught {i}", source="taught") for i in range(3)]
    index.add([*captions(200), *taught], vectors_like_texts(203))
    index.optimize()
    assert "extra.source" not in index._shard._shard.info().payload_schema
    assert everything(index, "taught") == sorted(taught, key=lambda caption: caption.id)
    assert index._shard._shard.info().payload_schema["extra.source"].points == 3
    index.close()


def test_threads_may_search_while_another_adds(tmp_path: Path) -> None:
    """A search never meets the shard while an import opens it anew."""
    index = EdgeIndex.create(tmp_path / "index", DIMENSION)
    rows = vectors_like_texts(1000)
    index.add(captions(1000), rows)
    with ThreadPoolExecutor(3) as pool:
        searches = [pool.submit(index.search, rows[i : i + 2], 3) for i in range(60)]
        renewals = [pool.submit(index.optimize) for _ in range(3)]
        adding = [pool.submit(index.add, captions(10, 2000 + 10 * i), rows[:10]) for i in range(30)]
        assert all(found[0].similarities[0] > 1 - NOISE for found in (search.result() for search in searches))
        for done in [*renewals, *adding]:
            done.result()
    assert index.count() == 1300
    index.close()


def test_the_log_takes_no_memory_once_a_shard_is_open(tmp_path: Path) -> None:
    """The library reads all of it, and keeps it mapped."""
    index = EdgeIndex.create(tmp_path / "shard", DIMENSION)
    index.add(captions(4_000), vectors_like_texts(4_000))
    index.close()
    index = EdgeIndex.open(tmp_path / "shard")
    log = str(tmp_path / "shard" / "shard" / "wal")
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    sizes = (one.split()[1] for line in lines if log in line for one in [next(x for x in lines if "Rss:" in x)])
    resident = list(map(int, sizes))
    assert resident
    assert sum(resident) < 256, "kB"
    assert index.count() == 4_000
    index.close()


def test_captions_are_read_once_and_no_more_than_so_many_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vectordb.edge.KEPT", 10)
    index = EdgeIndex.create(tmp_path / "shard", DIMENSION)
    put, rows = captions(60), vectors_like_texts(60)
    index.add(put, rows)
    read: list[int] = []
    retrieve = edge.EdgeShard.retrieve

    class Shard:
        """Counts the captions that are read."""

        def __init__(self, shard: edge.EdgeShard) -> None:
            self._shard = shard

        def __getattr__(self, name: str) -> object:
            return getattr(self._shard, name)

        def retrieve(self, ids: list[int], **given: bool) -> object:
            read.extend(ids)
            return retrieve(self._shard, list(ids), **given)

    opened = index._shard
    opened._shard = Shard(opened._shard)  # type: ignore[assignment]
    (first,) = index.search(rows[:1], 5)
    (again,) = index.search(rows[:1], 5)
    assert len(read) == 5
    assert again.captions == first.captions
    assert again.vectors.tobytes() == first.vectors.tobytes()
    everything_found = index.search(rows, 20)  # more than are kept
    assert all(len(found.captions) == 20 for found in everything_found)
    before = len(read)
    index.search(rows[30:31], 20)
    assert len(read) > before  # they were not all kept
    index.close()
