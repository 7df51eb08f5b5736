"""Every home of captions keeps the one contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from tests.contract import real_servers
from tests.contract.index_homes import (
    DIMENSION,
    NOISE,
    Home,
    OwnClient,
    captions,
    everything,
    vectors_like_texts,
)
from vectordb.captions import Caption
from vectordb.edge import EdgeIndex
from vectordb.exact import ExactIndex
from vectordb.index import PAGE, CaptionIndex, IndexExists, IndexMissing, UnusableVectors, WrongDimension
from vectordb.server import ServerIndex


@pytest.fixture(params=["edge", "exact", "server", *(["server-real"] if real_servers.QDRANT else [])])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    match request.param:
        case "edge":
            yield Home(tmp_path / "edge", EdgeIndex.create, EdgeIndex.open)
        case "exact":
            yield Home(tmp_path / "exact.npz", ExactIndex.create, ExactIndex.open)
        case "server":  # the client's own database: exact, and without a server's graph, codes and payload index
            yield Home(tmp_path / "captions", OwnClient.create_at, OwnClient.open_at)
        case "server-real":
            client, run = real_servers.qdrant(), uuid4().hex
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
    by_anybody = [caption for page, _ in index.pages(taught=True) for caption in page]
    assert by_anybody == sorted([*taught, menu], key=lambda c: c.id)
    assert list(index.pages(taught=True, after=by_anybody[-1].id)) == []


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
    with pytest.raises(WrongDimension, match="3 captions were given with 2 vectors"):
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


def test_what_a_search_has_found_is_found_as_it_is_now(index: CaptionIndex) -> None:
    """An index may keep what it found: a caption that is replaced or removed must not come back from there."""
    put, rows = captions(20), vectors_like_texts(20)
    index.add(put, rows)
    index.search(rows, 20)
    changed = Caption(put[3].id, put[3].text, {"source": "another"})
    index.add([changed], rows[4:5])
    index.remove([put[5].id])
    (found,) = index.search(rows[4:5], 20)
    assert changed in found.captions
    assert put[3] not in found.captions
    assert put[5] not in found.captions
    np.testing.assert_allclose(found.vectors[found.captions.index(changed)], rows[4], atol=1e-6)
    index.add([put[5]], rows[6:7])
    (found,) = index.search(rows[6:7], 20)
    np.testing.assert_allclose(found.vectors[found.captions.index(put[5])], rows[6], atol=1e-6)
