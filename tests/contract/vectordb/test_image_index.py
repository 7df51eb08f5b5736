"""Every home of images keeps the one contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from tests.contract import real_servers
from vectordb.image_edge import EdgeImages
from vectordb.image_server import ServerImages
from vectordb.images import (
    EVERYTHING,
    NO_FLOOR,
    PAGE,
    ImageEntry,
    ImageFact,
    ImageFilter,
    ImageIndex,
    ImageLabels,
    image_id,
)
from vectordb.index import Floats, IndexExists, IndexMissing, UnusableVectors, WrongDimension
from vectordb.server_client import connect
from workers.images.image_requests import Adopt, answer

DIMENSION = 16
NOISE = 1e-5


@dataclass(frozen=True)
class Home:
    """How an index is created and opened again."""

    create: Callable[[], ImageIndex]
    open: Callable[[], ImageIndex]


@pytest.fixture(params=["edge", "server", *(["server-real"] if real_servers.QDRANT else [])])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    if request.param == "edge":
        yield Home(
            lambda: EdgeImages.create(tmp_path / "images", DIMENSION), lambda: EdgeImages.open(tmp_path / "images")
        )
        return
    client = connect(":memory:") if request.param == "server" else real_servers.qdrant()
    name = f"{uuid4().hex}-images"
    yield Home(lambda: ServerImages.create(client, name, DIMENSION), lambda: ServerImages.open(client, name))
    client.delete_collection(name)
    client.close()


@pytest.fixture
def index(home: Home) -> Iterator[ImageIndex]:
    index = home.create()
    yield index
    index.close()


def entries(count: int, **more: object) -> list[ImageEntry]:
    return [replace(ImageEntry("photos", f"{n:05}.jpg", f"etag-{n}"), **more) for n in range(count)]  # type: ignore[arg-type] # by name


def rows(count: int, seed: int = 1) -> Floats:
    found = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)
    unit: Floats = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


def keys(found: list[ImageEntry] | tuple[ImageEntry, ...]) -> list[str]:
    return [entry.key for entry in found]


def test_the_nearest_images_come_best_first(index: ImageIndex) -> None:
    vectors = rows(200)
    index.put(entries(200), vectors)
    (found,) = index.search(vectors[17:18], 5)
    expected = np.argsort(-(vectors @ vectors[17]))[:5]
    assert keys(found.entries) == [f"{n:05}.jpg" for n in expected]
    np.testing.assert_allclose(found.scores, (vectors @ vectors[17])[expected], atol=NOISE)


def test_all_of_an_entry_comes_back(index: ImageIndex) -> None:
    entry = ImageEntry(
        "photos", "2024/a photo.jpg", "e1", "starter@1", 0.25, 0.125, bytes(range(32)), "2024-05-01T10:00:00+02:00",
        ("cat",), {"media": {"width": 3}},
    )  # fmt: skip
    index.put([entry], rows(1))
    found, vectors = index.get([entry.id, 12345])
    assert found == [entry]
    np.testing.assert_allclose(vectors, rows(1), atol=NOISE)


def test_a_key_that_is_not_utf_8_comes_back(index: ImageIndex) -> None:
    entry = ImageEntry("photos", b"caf\xe9.jpg".decode("utf-8", "surrogateescape"), "e1")
    index.put([entry], rows(1))
    assert index.get([entry.id])[0] == [entry]


def test_a_new_version_replaces_the_old_one_with_its_words(index: ImageIndex) -> None:
    old = ImageEntry("photos", "a.jpg", "e1")
    index.put([old], rows(1))
    index.label([ImageLabels("photos", "a.jpg", "e1", ("cat",), {"cat": 1.0})])
    index.put([replace(old, etag="e2")], rows(1, seed=2))
    assert index.count() == 1
    assert index.get([old.id])[0] == [replace(old, etag="e2")]
    assert index.search_words({"cat": 1.0}, 5).entries == ()


def test_the_same_version_keeps_its_words_and_tags(index: ImageIndex) -> None:
    entry = ImageEntry("photos", "a.jpg", "e1")
    index.put([entry], rows(1))
    index.label([ImageLabels("photos", "a.jpg", "e1", ("cat",), {"cat": 0.5})])
    index.put([replace(entry, captions_version="b@2")], rows(1))
    (found,) = index.search_words({"cat": 1.0}, 5).entries
    assert found == replace(entry, captions_version="b@2", tags=("cat",))


def test_labels_of_another_version_change_nothing(index: ImageIndex) -> None:
    index.put([ImageEntry("photos", "a.jpg", "e2", tags=("dog",))], rows(1))
    index.label([ImageLabels("photos", "a.jpg", "e1", ("cat",), {"cat": 1.0})])
    index.label([ImageLabels("photos", "b.jpg", "e1", ("cat",), {"cat": 1.0})])
    assert index.count(ImageFilter(tags=("cat",))) == 0
    assert index.count(ImageFilter(tags=("dog",))) == 1


def test_words_rank_by_the_sum_of_their_products(index: ImageIndex) -> None:
    index.put(entries(3), rows(3))
    index.label([
        ImageLabels("photos", "00000.jpg", "etag-0", (), {"cat": 0.9, "sofa": 0.2}),
        ImageLabels("photos", "00001.jpg", "etag-1", (), {"cat": 0.5}),
        ImageLabels("photos", "00002.jpg", "etag-2", (), {"dog": 0.9}),
    ])  # fmt: skip
    found = index.search_words({"cat": 1.0, "sofa": 0.5}, 10)
    assert keys(found.entries) == ["00000.jpg", "00001.jpg"]
    np.testing.assert_allclose(found.scores, [1.0, 0.5], atol=NOISE)
    assert index.search_words({}, 10).entries == ()


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (ImageFilter(bucket="other"), ["x/4.jpg"]),
        (ImageFilter(prefix="a/"), ["a/0.jpg", "a/1.jpg"]),
        (ImageFilter(tags=("cat",)), ["a/0.jpg", "b/2.jpg"]),
        (ImageFilter(tags=("cat", "sofa")), ["a/0.jpg"]),
        (ImageFilter(tags=("cat",), not_tags=("sofa",)), ["b/2.jpg"]),
        (ImageFilter(not_tags=("cat", "dog")), ["b/3.jpg", "x/4.jpg"]),
        (ImageFilter(after="2020-01-02T00:00:00Z"), ["a/1.jpg"]),
        (ImageFilter(before="2020-01-01T12:00:00+02:00"), ["a/0.jpg"]),
        (ImageFilter(captions_version="other@1"), ["b/3.jpg"]),
    ],
)
def test_filters_hold_for_searching_counting_and_reading(
    index: ImageIndex, where: ImageFilter, expected: list[str]
) -> None:
    index.put(
        [
            ImageEntry("photos", "a/0.jpg", "e", "s@1", tags=("cat", "sofa"), taken_at="2020-01-01T09:00:00Z"),
            ImageEntry("photos", "a/1.jpg", "e", "s@1", tags=("dog",), taken_at="2021-01-01T00:00:00"),
            ImageEntry("photos", "b/2.jpg", "e", "s@1", tags=("cat",)),
            ImageEntry("photos", "b/3.jpg", "e", "other@1"),
            ImageEntry("other", "x/4.jpg", "e", "s@1"),
        ],
        rows(5),
    )
    (found,) = index.search(rows(1), 10, where)
    assert sorted(keys(found.entries)) == expected
    assert index.count(where) == len(expected)
    assert sorted(key for page, _ in index.pages(where=where) for key in keys(page)) == expected


def test_an_image_whose_etag_alone_changed_keeps_its_vector_and_tags(index: ImageIndex) -> None:
    index.put([ImageEntry("photos", "a.jpg", "e1", tags=("cat",)), ImageEntry("photos", "b.jpg", "e9")], rows(2))
    answer(index, Adopt((("photos", "a.jpg", "e1", "e2"), ("photos", "b.jpg", "other", "e3"))))
    found, vectors = index.get([image_id("photos", "a.jpg"), image_id("photos", "b.jpg")])
    assert {(entry.key, entry.etag, entry.tags) for entry in found} == {
        ("a.jpg", "e2", ("cat",)),
        ("b.jpg", "e9", ()),
    }
    np.testing.assert_allclose(sorted(vectors.tolist()), sorted(rows(2).tolist()), atol=NOISE)


def test_removed_images_are_found_no_more(index: ImageIndex) -> None:
    index.put(entries(3), rows(3))
    index.remove([image_id("photos", "00001.jpg"), 99])
    (found,) = index.search(rows(1), 10)
    assert sorted(keys(found.entries)) == ["00000.jpg", "00002.jpg"]


def test_pages_give_every_image_once_and_go_on_after_an_id(index: ImageIndex) -> None:
    index.put(entries(PAGE + 10), rows(PAGE + 10))
    pages = list(index.pages())
    ids = [entry.id for page, _ in pages for entry in page]
    assert ids == sorted(image_id("photos", f"{n:05}.jpg") for n in range(PAGE + 10))
    assert len(pages[0][0]) == PAGE == len(pages[0][1])
    (rest,) = list(index.pages(after=ids[PAGE + 4]))
    assert [entry.id for entry in rest[0]] == ids[PAGE + 5 :]


def test_concerned_are_the_images_for_which_the_caption_is_above_floor_and_bound(index: ImageIndex) -> None:
    vectors, caption = rows(400), rows(1, seed=9)[0]
    rng = np.random.default_rng(3)
    floors, bounds = rng.uniform(-0.4, 0.6, 400), rng.uniform(-0.4, 0.6, 400)
    versions = ["s@1" if n % 3 else "old@1" for n in range(400)]
    put = [
        replace(entry, floor=float(floor), bound=float(bound), captions_version=version)
        for entry, floor, bound, version in zip(entries(400), floors, bounds, versions, strict=True)
    ]
    index.put(put, vectors)
    similarity = vectors @ caption
    expected = {
        entry.key for entry, s in zip(put, similarity, strict=True)
        if entry.captions_version == "s@1" and s - 0.1 > entry.floor and s > entry.bound
    }  # fmt: skip
    assert len(expected) > 20
    assert set(keys(index.concerned(caption, 0.1, "s@1"))) == expected
    assert index.concerned(caption, 0.1, "none@1") == []
    in_parts, after = list[str](), -1
    while part := index.ids_after(after, 37):
        assert part == sorted(part)
        in_parts += keys(index.concerned(caption, 0.1, "s@1", part))
        after = part[-1]
    assert sorted(in_parts) == sorted(expected)
    assert index.ids_after(2**64 - 1, 10) == []
    assert [entry.key for page in index.entries() for entry in page] == [
        entry.key for page, _ in index.pages() for entry in page
    ]


def test_an_image_with_too_few_captions_is_concerned_by_every_caption(index: ImageIndex) -> None:
    vector = rows(1)
    index.put([ImageEntry("photos", "a.jpg", "e", "s@1", NO_FLOOR, NO_FLOOR)], vector)
    assert keys(index.concerned(-vector[0], 0.5, "s@1")) == ["a.jpg"]


def test_everything_is_there_after_opening_again(home: Home) -> None:
    index = home.create()
    index.put(entries(5), rows(5))
    index.label([ImageLabels("photos", "00003.jpg", "etag-3", ("cat",), {"cat": 1.0})])
    index.close()
    again = home.open()
    assert again.dimension == DIMENSION
    assert again.count(EVERYTHING) == 5
    assert keys(again.search_words({"cat": 1.0}, 5).entries) == ["00003.jpg"]
    again.close()


@pytest.mark.parametrize("bad", [np.zeros((1, DIMENSION), np.float32), np.full((1, DIMENSION), np.nan, np.float32)])
def test_a_vector_without_a_direction_is_refused_and_nothing_is_put(index: ImageIndex, bad: Floats) -> None:
    with pytest.raises(UnusableVectors):
        index.put(entries(2), np.concatenate([rows(1), bad]))
    assert index.count() == 0


def test_vectors_of_another_space_are_refused(index: ImageIndex) -> None:
    with pytest.raises(WrongDimension):
        index.put(entries(1), np.ones((1, DIMENSION + 1), np.float32))
    with pytest.raises(WrongDimension):
        index.put(entries(2), rows(1))
    with pytest.raises(WrongDimension):
        index.search(np.ones((1, DIMENSION - 1), np.float32), 1)


def test_of_equal_images_in_one_call_the_last_counts(index: ImageIndex) -> None:
    first = ImageEntry("photos", "a.jpg", "e1")
    index.put([first, replace(first, etag="e2")], rows(2))
    assert index.get([first.id])[0] == [replace(first, etag="e2")]


def test_creating_twice_and_opening_nothing_are_refused(home: Home) -> None:
    with pytest.raises(IndexMissing):
        home.open()
    home.create().close()
    with pytest.raises(IndexExists):
        home.create()


def test_facts_are_read_in_pages_and_by_id(index: ImageIndex) -> None:
    odd = ImageEntry("photos", b"caf\xe9.jpg".decode("utf-8", "surrogateescape"), "e1")
    every = [*entries(24), odd]
    index.put(every, rows(25))
    index.label(
        [ImageLabels("photos", "00003.jpg", "etag-3", ("cat", "animal"), {"cat": 1.0, "animal": 0.5, "w": 1})]
    )
    after, found = -1, list[ImageFact]()
    while page := index.facts_after(after, 10):
        assert len(page) <= 10
        found, after = found + page, page[-1].id
    facts = {
        e.id: ImageFact(*at, ("cat", "animal"), 3) if e.key == "00003.jpg" else ImageFact(*at, (), 0)
        for e in every for at in [(e.bucket, e.key, e.etag)]
    }  # fmt: skip
    assert found == [facts[number] for number in sorted(facts)]
    assert index.facts([odd.id, 12345, odd.id]) == [facts[odd.id]]
    assert index.facts_after(2**64 - 1, 10) == []
