"""What is true of caption databases on a Qdrant server only: several machines, claims that lapse, long names."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from qdrant_client import QdrantClient, models

from tests.contract import real_servers
from tests.contract.homes import DIMENSION, vectors
from tests.contract.vectordb.library_samples import CAPTIONS, build, everything, interrupted, manifest
from tests.eventually import eventually
from vectordb.index import IndexMissing
from vectordb.library import BuildRunning, Manifest, UnsafeName
from vectordb.server_client import connect
from vectordb.server_library import BuildTakenOver, ServerLibrary
from vectordb.server_registry import DROPPED, LAPSE_S, RESTORING, WHOLE, Registry

PREFIX = f"t{uuid4().hex[:8]}-"  # a real server has other collections, too


@pytest.fixture(params=["memory", *(["real"] if real_servers.QDRANT else [])])
def client(request: pytest.FixtureRequest) -> Iterator[QdrantClient]:
    client = real_servers.qdrant() if request.param == "real" else connect(":memory:")
    yield client
    for name in collections(client):
        client.delete_collection(name)
    client.close()


def collections(client: QdrantClient) -> list[str]:
    """Those of these tests."""
    return [known.name for known in client.get_collections().collections if known.name.startswith(PREFIX)]


@pytest.fixture
def library(client: QdrantClient, tmp_path: Path) -> ServerLibrary:
    return ServerLibrary(client, tmp_path / "scratch", prefix=PREFIX)


@pytest.fixture
def elsewhere(client: QdrantClient, tmp_path: Path) -> ServerLibrary:
    """The same server, seen from another machine: its locks and notes are in another place."""
    return ServerLibrary(client, tmp_path / "another machine", prefix=PREFIX, beat_s=0.2)


def age_claims(client: QdrantClient, seconds: float) -> None:
    """As if the last sign of life of all builders were that much older."""
    points, _ = client.scroll(f"{PREFIX}registry", limit=100)
    for point in points:
        if point.payload and "beat" in point.payload:
            client.set_payload(f"{PREFIX}registry", {"beat": point.payload["beat"] - seconds}, [point.id])


def test_a_build_on_another_machine_is_refused(library: ServerLibrary, elsewhere: ServerLibrary) -> None:
    with library.building("mini", "starter@v1", DIMENSION) as building:
        with pytest.raises(BuildRunning, match="another machine"):
            build(elsewhere)
        building.index.add(CAPTIONS, vectors(CAPTIONS))
        building.finish(manifest())
    elsewhere.drop("mini", "starter@v1")


def test_a_build_goes_on_where_its_machine_died_without_its_notes(
    library: ServerLibrary, elsewhere: ServerLibrary
) -> None:
    interrupted(library, CAPTIONS[:20])
    with elsewhere.building("mini", "starter@v1", DIMENSION) as building:
        assert building.index.count() == 20
        assert list(building.folder.iterdir()) == []


def test_notes_about_a_build_that_was_thrown_away_elsewhere_are_not_believed(
    library: ServerLibrary, elsewhere: ServerLibrary
) -> None:
    interrupted(library, CAPTIONS[:20])
    with elsewhere.building("mini", "starter@v1", DIMENSION, resume=False) as building:
        assert building.index.count() == 0
    with library.building("mini", "starter@v1", DIMENSION) as building:
        assert building.index.count() == 0
        assert list(building.folder.iterdir()) == []


def test_a_dead_builders_claim_is_free_after_a_minute_and_it_cannot_finish_then(
    client: QdrantClient, library: ServerLibrary, elsewhere: ServerLibrary
) -> None:
    with library.building("mini", "starter@v1", DIMENSION) as dead:
        age_claims(client, LAPSE_S / 2)
        with pytest.raises(BuildRunning):
            build(elsewhere)
        age_claims(client, LAPSE_S)
        with elsewhere.building("mini", "starter@v1", DIMENSION) as building:
            with pytest.raises(BuildTakenOver, match="taken over"):
                dead.finish(manifest())
            building.index.add(CAPTIONS, vectors(CAPTIONS))
            building.finish(manifest())
        with pytest.raises(BuildTakenOver, match="taken over"):
            dead.finish(manifest(count=20))
    assert library.find("mini", "starter@v1") == manifest()


def test_a_finish_that_got_no_answer_may_be_called_again(library: ServerLibrary) -> None:
    with library.building("mini", "starter@v1", DIMENSION) as building:
        building.index.add(CAPTIONS, vectors(CAPTIONS))
        building._registry.put(replace(building.record, state=WHOLE, manifest=manifest()))
        building.finish(manifest())
    assert library.find("mini", "starter@v1") == manifest()


def test_a_claim_is_renewed_while_its_holder_lives(client: QdrantClient) -> None:
    registry = Registry(client, PREFIX, beat_s=0.02)
    with registry.claimed("mini", "starter@v1"):
        age_claims(client, 10 * LAPSE_S)
        eventually(lambda: last_beat(client) >= time.time() - LAPSE_S, 10)
    assert client.count(f"{PREFIX}registry").count == 0  # and gone with it


def test_the_claim_of_one_that_was_killed_here_is_free_at_once(
    client: QdrantClient, library: ServerLibrary, elsewhere: ServerLibrary, tmp_path: Path
) -> None:
    library._scratch.mkdir()
    owner = library._owner()
    assert owner == ServerLibrary(client, tmp_path / "scratch", prefix=PREFIX)._owner()
    registry = Registry(client, PREFIX)
    registry._prepare()
    assert registry.take("mini/starter@v1", owner)  # and its holder is gone
    with pytest.raises(BuildRunning):
        build(elsewhere)
    build(library)


def last_beat(client: QdrantClient) -> float:
    (point,), _ = client.scroll(f"{PREFIX}registry")
    return float((point.payload or {})["beat"])


@pytest.mark.parametrize("state", [DROPPED, RESTORING])
def test_what_a_killed_drop_or_restore_left_is_not_seen_nor_built_on(
    client: QdrantClient, library: ServerLibrary, state: str
) -> None:
    build(library)
    registry = Registry(client, PREFIX)
    record = registry.record("mini", "starter@v1")
    assert record is not None
    registry.put(replace(record, state=state, manifest=None))
    assert library.manifests() == []
    with pytest.raises(IndexMissing):
        library.drop("mini", "starter@v1")
    with library.building("mini", "starter@v1", DIMENSION) as building:
        assert building.index.count() == 0


def test_a_version_that_was_open_when_it_was_dropped_finds_nothing_in_a_new_build(library: ServerLibrary) -> None:
    build(library)
    opened = library.open("mini", "starter@v1")
    library.drop("mini", "starter@v1")
    with library.building("mini", "starter@v1", DIMENSION) as building:
        building.index.add(CAPTIONS[:1], vectors(CAPTIONS[:1]))
        with pytest.raises(IndexMissing):
            opened.search(vectors(CAPTIONS[:1]), 3)
    with pytest.raises(IndexMissing):
        opened.search(vectors(CAPTIONS[:1]), 3)


def test_a_collection_that_somebody_removed_says_what_to_do(client: QdrantClient, library: ServerLibrary) -> None:
    build(library)
    (name,) = (name for name in collections(client) if name != f"{PREFIX}registry")
    client.delete_collection(name)
    with pytest.raises(IndexMissing, match=name):
        library.open("mini", "starter@v1")
    client.create_collection(name, models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE))
    with pytest.raises(IndexMissing, match="build them again"):
        library.open("mini", "starter@v1")
    library.drop("mini", "starter@v1")
    build(library)


def test_long_names_have_collections_of_their_own(client: QdrantClient, library: ServerLibrary) -> None:
    a, b = "x" * 120 + "a", "x" * 120 + "b"
    names = [(a, a, a), (a, a, b), (b, a, a), ("a", "b-c", "d"), ("a", "b", "c-d"), ("a-b", "c", "d")]
    made = [Manifest(name, version, space, DIMENSION, 1, None, manifest().created) for space, name, version in names]
    for number, each in enumerate(made):
        build(library, each, CAPTIONS[number : number + 1])
        library.use(each.space_id, each.captions_version)
    assert library.manifests() == sorted(made, key=lambda m: m.captions_version)
    for number, each in enumerate(made):
        index = library.open(each.space_id, each.captions_version)
        assert everything(index) == CAPTIONS[number : number + 1]
    assert library.active(b) == made[2].captions_version
    assert library.active("a-b") == "c@d"
    aliases = [alias.alias_name for alias in client.get_aliases().aliases if alias.alias_name.startswith(PREFIX)]
    assert f"{PREFIX}a-b-active" in aliases
    assert all(len(name) <= 255 for name in collections(client) + aliases)


def test_prefixes_keep_libraries_of_one_server_apart(client: QdrantClient, tmp_path: Path) -> None:
    one, two = (ServerLibrary(client, tmp_path, prefix=prefix) for prefix in (f"{PREFIX}one-", f"{PREFIX}two-"))
    build(one)
    one.use("mini", "starter@v1")
    assert two.manifests() == []
    assert two.active("mini") is None
    build(two)
    for prefix in ("", "a b", "x" * 51):
        with pytest.raises(UnsafeName):
            ServerLibrary(client, tmp_path, prefix=prefix)


def test_any_number_of_readers_have_a_version_open(library: ServerLibrary) -> None:
    build(library)
    first, second = library.open("mini", "starter@v1"), library.open("mini", "starter@v1")
    assert first.count() == second.count() == 50
    first.close()
    assert second.count() == 50
