"""Every home of captions keeps the one contract, and the approximate one finds what the exact one finds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import uuid4

import numpy as np
import pytest
import qdrant_edge as edge
from qdrant_client import QdrantClient

from vectordb.captions import Caption
from vectordb.edge import RENEWED, EdgeIndex
from vectordb.exact import ExactIndex
from vectordb.index import (
    PAGE,
    CaptionIndex,
    Floats,
    IndexExists,
    IndexFault,
    IndexLocked,
    IndexMissing,
    UnusableVectors,
    WrongDimension,
)
from vectordb.options import IndexOptions
from vectordb.server import ServerIndex
from vectordb.server_client import connect

DIMENSION = 48
# all homes compute in float32; sums of 48 products differ in their last bits only
NOISE = 1e-5
# the address of a Qdrant server, for the tests that need a real one
REAL_SERVER = os.environ.get("WILDTAG_TEST_QDRANT_URL", "")


@dataclass(frozen=True)
class Home:
    """One way to keep an index: where it lies and how it is made and found again."""

    path: Path
    create: Callable[[Path, int], CaptionIndex]
    open: Callable[[Path], CaptionIndex]


class OwnClient(ServerIndex):
    """A collection with a client of its own, as every process has one: the folder that its path lies in."""

    @classmethod
    def create_at(cls, path: Path, dimension: int) -> Self:
        with cls._lent(connect(str(path.parent / "server"))) as client:
            return cls.create(client, path.name, dimension)

    @classmethod
    def open_at(cls, path: Path) -> Self:
        with cls._lent(connect(str(path.parent / "server"))) as client:
            return cls.open(client, path.name)

    @staticmethod
    @contextmanager
    def _lent(client: QdrantClient) -> Iterator[QdrantClient]:
        try:
            yield client
        except Exception:
            client.close()
            raise

    def close(self) -> None:
        super().close()
        self._client.close()


@pytest.fixture(params=["edge", "exact", "server", *(["server-real"] if REAL_SERVER else [])])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    match request.param:
        case "edge":
            yield Home(tmp_path / "edge", EdgeIndex.create, EdgeIndex.open)
        case "exact":
            yield Home(tmp_path / "exact.npz", ExactIndex.create, ExactIndex.open)
        case "server":  # the client's own database: exact, and without a server's graph, codes and payload index
            yield Home(tmp_path / "captions", OwnClient.create_at, OwnClient.open_at)
        case "server-real":
            client, run = connect(REAL_SERVER), uuid4().hex
            yield Home(
                tmp_path / "captions",
                lambda path, dimension: ServerIndex.create(client, f"{run}-{path.name}", dimension),
                lambda path: ServerIndex.open(client, f"{run}-{path.name}"),
            )
            client.delete_collection(f"{run}-captions")
            client.close()


@pytest.fixture
def index(home: Home) -> Iterator[CaptionIndex]:
    index = home.create(home.path, DIMENSION)
    yield index
    index.close()


def vectors_like_texts(count: int, dimension: int = DIMENSION, seed: int = 7) -> Floats:
    """Unit vectors in clusters, as texts' vectors lie; evenly spread noise has no neighbours worth finding."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(max(count // 20, 1), dimension))
    rows = centres[random.integers(0, len(centres), count)] + 0.6 * random.normal(size=(count, dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def captions(count: int, start: int = 0) -> list[Caption]:
    return [Caption.of(f"caption number {i}") for i in range(start, start + count)]


def everything(index: CaptionIndex, source: str | None = None) -> list[Caption]:
    return [caption for page, _ in index.pages(source) for caption in page]


def test_the_nearest_captions_come_best_first(index: CaptionIndex) -> None:
    put, rows = captions(200), vectors_like_texts(200)
    index.add(put, rows)
    (found,) = index.search(rows[17:18], 5)
    expected = np.argsort(-(rows @ rows[17]))[:5]
    assert found.captions == tuple(put[i] for i in expected)
    assert found.captions[0] == put[17]
    np.testing.assert_allclose(found.similarities, (rows @ rows[17])[expected], atol=NOISE)
    assert found.similarities.dtype == np.float32


def test_a_batch_finds_what_its_queries_find_alone(index: CaptionIndex) -> None:
    index.add(captions(300), vectors_like_texts(300))
    queries = vectors_like_texts(16, seed=8)
    together = index.search(queries, 10)
    assert len(together) == 16
    for query, found in zip(queries, together, strict=True):
        (alone,) = index.search(query[None], 10)
        assert alone.captions == found.captions
        # numbers of the client's own database are not the same twice to the last bit
        rounding = 1e-6 if isinstance(index, OwnClient) else 0
        np.testing.assert_allclose(alone.similarities, found.similarities, rtol=0, atol=rounding)
        np.testing.assert_allclose(alone.vectors, found.vectors, rtol=0, atol=rounding)


def test_no_query_and_no_limit_find_nothing(index: CaptionIndex) -> None:
    index.add(captions(3), vectors_like_texts(3))
    assert index.search(np.empty((0, DIMENSION), np.float32), 10) == []
    (found,) = index.search(vectors_like_texts(1), 0)
    assert found.captions == ()
    assert found.vectors.shape == (0, DIMENSION)


def test_text_and_payload_come_back_as_they_went_in(index: CaptionIndex) -> None:
    plain = Caption.of("a crème brûlée, 焦糖布丁")
    rich = Caption.of("a cup", source="menu", text_length=5, deep={"list": [1, 2.5, None, True, "é"], "text": ""})
    edge_of_ids = Caption(2**64 - 1, "the last id there is")
    index.add([plain, rich, edge_of_ids], vectors_like_texts(3))
    (found,) = index.search(vectors_like_texts(1), 3)
    assert sorted(found.captions, key=lambda c: c.id) == sorted([plain, rich, edge_of_ids], key=lambda c: c.id)
    assert {c.id: c.payload for c in everything(index)} == {c.id: c.payload for c in (plain, rich, edge_of_ids)}


def test_vectors_come_back_equal_and_of_unit_length(index: CaptionIndex) -> None:
    put, rows = captions(50), vectors_like_texts(50)
    index.add(put, rows * np.linspace(0.1, 9, 50, dtype=np.float32)[:, None])
    for i, found in enumerate(index.search(rows, 3)):
        assert found.captions[0] == put[i]
        assert found.vectors.shape == (3, DIMENSION)
        assert found.vectors.dtype == np.float32
        np.testing.assert_allclose(found.vectors[0], rows[i], atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-6)


def test_the_callers_arrays_are_left_alone(index: CaptionIndex) -> None:
    rows = vectors_like_texts(5) * np.float32(3)
    before = rows.copy()
    index.add(captions(5), rows)
    index.search(rows, 2)
    np.testing.assert_array_equal(rows, before)
    rows[:] = 1  # and what was put in is not a view of them
    (found,) = index.search(before[:1], 1)
    np.testing.assert_allclose(found.vectors[0] @ before[0] / np.linalg.norm(before[0]), 1, atol=1e-6)


def test_a_caption_that_is_added_again_is_replaced(index: CaptionIndex) -> None:
    rows = vectors_like_texts(6)
    index.add(captions(4), rows[:4])
    again = Caption.of("caption number 2", source="second")
    index.add([again], rows[4:5])
    assert index.count() == 4
    (found,) = index.search(rows[4:5], 1)
    assert found.captions == (again,)
    thrice = [Caption.of("twice in one call", n=n) for n in range(2)]
    index.add(thrice, rows[4:6])
    assert index.count() == 5
    (found,) = index.search(rows[5:6], 1)
    assert found.captions == (thrice[1],)


def test_pages_give_every_caption_once_with_its_vector_in_the_order_of_ids(index: CaptionIndex) -> None:
    put, rows = captions(PAGE + 100), vectors_like_texts(PAGE + 100)
    index.add(put, rows)
    row_of = {caption.id: row for caption, row in zip(put, rows, strict=True)}
    assert everything(index) == sorted(put, key=lambda c: c.id)
    for page, vectors in index.pages():
        np.testing.assert_allclose(vectors, [row_of[caption.id] for caption in page], atol=1e-6)
    middle = everything(index)[PAGE // 2]
    rest = [caption for page, _ in index.pages(after=middle.id) for caption in page]
    assert rest == everything(index)[PAGE // 2 + 1 :]
    assert not list(index.pages(after=2**64 - 1))


def test_captions_of_one_source_are_listed_alone(index: CaptionIndex) -> None:
    taught = [Caption.of(f"taught {i}", source="taught") for i in range(3)]
    menu = Caption.of("a cup", source="menu")
    index.add([*captions(40), *taught, menu], vectors_like_texts(44))
    assert everything(index, "taught") == sorted(taught, key=lambda c: c.id)
    assert everything(index, "menu") == [menu]
    assert everything(index, "nobody") == []


def test_captions_are_looked_up_and_taken_out_by_id(index: CaptionIndex) -> None:
    put, rows = captions(30), vectors_like_texts(30)
    index.add(put, rows)
    index.remove([put[3].id, put[4].id, 12345])
    index.remove([])
    assert index.count() == 28
    assert index.get([put[4].id, put[7].id, 12345]) == [put[7]]
    assert index.get([]) == []
    (found,) = index.search(rows[3:4], 30)
    assert put[3] not in found.captions
    index.add(put[3:4], rows[3:4])
    assert index.search(rows[3:4], 1)[0].captions == (put[3],)


def test_equal_similarities_come_in_the_order_of_ids(index: CaptionIndex) -> None:
    row = vectors_like_texts(1)
    put = captions(20)
    index.add(put, np.repeat(row, 20, axis=0))
    (found,) = index.search(row, 20)
    assert list(found.captions) == sorted(put, key=lambda c: c.id)


def test_an_empty_index_finds_nothing(index: CaptionIndex) -> None:
    assert index.count() == 0
    assert everything(index) == []
    assert index.dimension == DIMENSION
    (first, second) = index.search(vectors_like_texts(2), 10)
    assert first.captions == second.captions == ()
    assert first.similarities.shape == (0,)
    assert first.vectors.shape == (0, DIMENSION)


def test_a_limit_above_the_count_gives_all(index: CaptionIndex) -> None:
    index.add(captions(3), vectors_like_texts(3))
    (found,) = index.search(vectors_like_texts(1), 10)
    assert len(found.captions) == 3


def test_what_was_added_is_there_after_closing_and_opening(home: Home) -> None:
    put, rows = captions(120), vectors_like_texts(120)
    index = home.create(home.path, DIMENSION)
    index.add(put, rows)
    before = index.search(rows[:4], 5)
    index.close()
    index.close()
    reopened = home.open(home.path)
    assert reopened.dimension == DIMENSION
    assert reopened.count() == 120
    after = reopened.search(rows[:4], 5)
    assert [f.captions for f in after] == [f.captions for f in before]
    np.testing.assert_allclose(after[0].vectors, before[0].vectors, atol=1e-6)
    reopened.add(captions(10, start=500), vectors_like_texts(10, seed=9))
    assert reopened.count() == 130
    reopened.close()


@pytest.mark.parametrize("shape", [(2, DIMENSION - 1), (2, DIMENSION + 1), (DIMENSION,), (1, 2, DIMENSION)])
def test_another_dimension_is_refused(index: CaptionIndex, shape: tuple[int, ...]) -> None:
    wrong = np.ones(shape, np.float32)
    with pytest.raises(WrongDimension, match=str(DIMENSION)):
        index.search(wrong, 1)
    with pytest.raises(WrongDimension):
        index.add(captions(len(wrong)), wrong)
    with pytest.raises(WrongDimension, match="3 captions with 2 vectors"):
        index.add(captions(3), vectors_like_texts(2))
    assert index.count() == 0


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_vectors_that_point_nowhere_are_refused_with_their_row(index: CaptionIndex, value: float) -> None:
    rows = vectors_like_texts(3)
    rows[1] = value
    with pytest.raises(UnusableVectors, match="row 1 of 3"):
        index.add(captions(3), rows)
    assert index.count() == 0
    with pytest.raises(UnusableVectors):
        index.search(rows, 1)


def test_a_place_without_an_index_is_missing_and_stays_as_it_is(home: Home, tmp_path: Path) -> None:
    for place in (tmp_path / "nowhere", tmp_path / "something"):
        (tmp_path / "something").mkdir(exist_ok=True)
        (tmp_path / "something" / "notes.txt").write_text("not an index")
        with pytest.raises(IndexMissing, match=place.name):
            home.open(place)
    assert not (tmp_path / "nowhere").exists()
    assert [f.name for f in (tmp_path / "something").iterdir()] == ["notes.txt"]


def test_an_index_is_not_made_over_another(home: Home) -> None:
    index = home.create(home.path, DIMENSION)
    index.add(captions(3), vectors_like_texts(3))
    index.close()
    with pytest.raises(IndexExists):
        home.create(home.path, DIMENSION)
    assert home.open(home.path).count() == 3


def test_a_shard_has_one_owner_in_one_process(tmp_path: Path) -> None:
    first = EdgeIndex.create(tmp_path / "shard", DIMENSION)
    with pytest.raises(IndexLocked, match="open already"):
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


def test_the_graph_finds_what_the_oracle_finds(tmp_path: Path) -> None:
    put, rows = captions(4000), vectors_like_texts(4000)
    # from other clusters than the captions: harder than held-out captions, which the graph finds without a miss
    queries = vectors_like_texts(100, seed=8)
    oracle = ExactIndex(DIMENSION)
    oracle.add(put, rows)
    truth = oracle.search(queries, 10)
    recalls = []
    # several threads build a graph, so no two are alike; one build's recall spreads by 0.0024 about the mean
    for build in range(3):
        index = EdgeIndex.create(tmp_path / str(build), DIMENSION)
        index.add(put, rows)
        assert index.indexed() == 0
        index.optimize()
        assert index.indexed() == index.count() == 4000
        hits = 0
        for found, true in zip(index.search(queries, 10), truth, strict=True):
            scores = {c.id: s for c, s in zip(found.captions, found.similarities, strict=True)}
            exact = {c.id: s for c, s in zip(true.captions, true.similarities, strict=True)}
            hits += len(scores.keys() & exact.keys())
            # an approximate index may miss a caption, even the best one; what it finds it must score right
            for shared in scores.keys() & exact.keys():
                assert scores[shared] == pytest.approx(exact[shared], abs=NOISE)
            assert all(np.diff(found.similarities) <= 0)
        recalls.append(hits / (10 * len(queries)))
        index.close()
    assert np.mean(recalls) >= 0.98, recalls


def test_what_is_taught_after_the_graph_was_built_is_found_at_once(tmp_path: Path) -> None:
    index = EdgeIndex.create(tmp_path / "shard", DIMENSION)
    index.add(captions(500), vectors_like_texts(500))
    index.optimize()
    taught, row = Caption.of("a Moka pot"), vectors_like_texts(1, seed=9)
    index.add([taught], row)
    assert index.search(row, 1)[0].captions == (taught,)
    index.close()


@pytest.mark.parametrize(
    "options",
    [
        IndexOptions(quantised=True, on_disk=False),
        IndexOptions(quantised=False, on_disk=True),
        IndexOptions(quantised=True, on_disk=True),
    ],
    ids=["quantised", "on disk", "both"],
)
def test_an_index_that_saves_memory_finds_what_the_oracle_finds(tmp_path: Path, options: IndexOptions) -> None:
    """Codes and a file on disk change what an index costs, not what it finds, scores and gives back."""
    put, rows = captions(4000), vectors_like_texts(4000)
    queries = vectors_like_texts(100, seed=8)
    oracle = ExactIndex(DIMENSION)
    oracle.add(put, rows)
    index = EdgeIndex.create(tmp_path / "index", DIMENSION, options)
    index.add(put, rows)
    index.optimize()
    assert bool(list(tmp_path.rglob("quantized*"))) == options.quantised
    index.close()
    index = EdgeIndex.open(tmp_path / "index", options)
    assert index.indexed() == 4000
    hits = 0
    row_of = {caption.id: row for caption, row in zip(put, rows, strict=True)}
    for query, found, true in zip(queries, index.search(queries, 10), oracle.search(queries, 10), strict=True):
        hits += sum(caption in true.captions for caption in found.captions)
        for caption, vector in zip(found.captions, found.vectors, strict=True):
            np.testing.assert_allclose(vector, row_of[caption.id], atol=1e-6)
        # by the vectors themselves, not by their codes
        np.testing.assert_allclose(found.similarities, found.vectors @ query, atol=NOISE)
    assert hits / 1000 >= 0.97
    taught, row = Caption.of("a Moka pot"), vectors_like_texts(1, seed=9)
    index.add([taught], row)
    assert index.search(row, 1)[0].captions == (taught,)
    index.close()


def test_building_the_graph_again_follows_other_options(tmp_path: Path) -> None:
    """An index that was small when it was built is quantised when it is built again, and stays so when opened."""
    put, rows = captions(500), vectors_like_texts(500)
    index = EdgeIndex.create(tmp_path / "index", DIMENSION)
    index.add(put, rows)
    index.optimize()
    index.close()
    assert not list(tmp_path.rglob("quantized*"))
    index = EdgeIndex.open(tmp_path / "index", IndexOptions(quantised=True))
    index.optimize()
    index.close()
    assert list(tmp_path.rglob("quantized*"))
    index = EdgeIndex.open(tmp_path / "index")
    assert index.search(rows[:1], 1)[0].captions == (put[0],)
    index.close()


def test_what_was_added_outlives_a_killed_process(tmp_path: Path) -> None:
    """Every call of ``add`` that returned before a kill -9 is there afterwards, and can be searched."""
    code = """
import sys
from pathlib import Path
from tests.contract.test_caption_index import DIMENSION, captions, vectors_like_texts
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
    index._shard.update(edge.UpdateOperation.delete_field_index("extra.source"))
    taught = [Caption.of(f"taught {i}", source="taught") for i in range(3)]
    index.add([*captions(200), *taught], vectors_like_texts(203))
    index.optimize()
    assert "extra.source" not in index._shard.info().payload_schema
    assert everything(index, "taught") == sorted(taught, key=lambda caption: caption.id)
    assert index._shard.info().payload_schema["extra.source"].points == 3
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
