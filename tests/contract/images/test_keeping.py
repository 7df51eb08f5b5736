"""Images are tagged again from their vectors, with the same tags as by the full way; and without the index, too."""

from __future__ import annotations

import io
from dataclasses import replace

import msgspec

from tasks.message_parts import UserMetadata
from tests.contract.images.images_world import OTHERS, REDS, ImagesWorld, picture
from vectordb.images import ImageEntry, image_id
from vectordb.index import IndexFault
from workers.images.open_images import PAUSE_S, OpenImages
from workers.lifecycle.event import ObjectEvent
from workers.lifecycle.record import Record


def comparable(record: Record) -> Record:
    """All of a record but the times."""
    return msgspec.structs.replace(record, timings_ms={}, finished_at=0.0, entered_ms=msgspec.UNSET)


def tagged_again(world: ImagesWorld, keys: list[str]) -> int:
    """Tag images again; the number of those that the encoder was shown."""
    before = world.encoder.seen
    for key in keys:
        world.again(key)
    world.all_settled()
    return int(world.encoder.seen - before)


def entry(world: ImagesWorld, key: str) -> ImageEntry:
    (found,), _ = world.wiring.images.index().get([image_id("inbox", key)])
    return found  # type: ignore[no-any-return] # of a wiring whose adapters are replaced


def test_the_way_from_vectors_gives_the_records_of_the_full_way_to_the_last_digit(world: ImagesWorld) -> None:
    keys = world.shown([*REDS, *OTHERS], "")
    full = [comparable(world.record(key)) for key in keys]
    assert world.encoder.seen == len(keys)
    assert tagged_again(world, keys) == 0
    assert [comparable(world.record(key)) for key in keys] == full


def test_what_did_not_change_is_not_written_again(world: ImagesWorld) -> None:
    keys = world.shown(REDS, "")
    index = world.wiring.images.index()
    before = index._put
    assert tagged_again(world, keys) == 0
    assert index._put == before
    first, rows = index.get([image_id("inbox", keys[0])])
    index.put([replace(first[0], floor=-1.5)], rows)
    assert tagged_again(world, keys) == 0
    assert index._put == before + 2  # of this test, and of the image whose entry was another one
    assert entry(world, keys[0]) == first[0]


def test_what_the_owner_wrote_is_in_the_records_of_both_ways(world: ImagesWorld) -> None:
    user = UserMetadata("cat.png", "4711", (("title", "Größe"),))
    file = io.BytesIO()
    picture(REDS[0]).save(file, "PNG")
    file.seek(0)
    whole = world.wiring.store.put("inbox", "own.png", file, user_metadata=user)
    damaged = world.wiring.store.put("inbox", "bad.png", io.BytesIO(file.getvalue()[:300]), user_metadata=user)
    world.wiring.inbox.append([ObjectEvent.seen(whole), ObjectEvent.seen(damaged)])
    world.all_settled()
    assert (world.record("bad.png").state, world.record("bad.png").client_id) == ("failed", "4711")
    full = world.record("own.png")
    assert (full.file_name, full.client_id, full.metadata) == ("cat.png", "4711", {"title": "Größe"})
    assert tagged_again(world, ["own.png"]) == 0
    assert comparable(world.record("own.png")) == comparable(full)


def test_an_image_that_was_changed_is_embedded(world: ImagesWorld) -> None:
    (key,) = world.shown(REDS[:1], "")
    before = world.encoder.seen
    world.put(key, picture(OTHERS[1]))
    world.all_settled()
    assert world.encoder.seen == before + 1
    assert entry(world, key).etag == world.record(key).etag


def test_an_image_that_was_read_in_another_way_or_is_not_in_the_index_is_embedded(world: ImagesWorld) -> None:
    keys = world.shown(REDS, "")
    index = world.wiring.images.index()
    (first,), rows = index.get([image_id("inbox", keys[0])])
    index.put([ImageEntry("inbox", keys[0], first.etag, extra={**first.extra, "view": "another"})], rows)
    index.remove([image_id("inbox", keys[1])])
    assert tagged_again(world, keys) == 2
    assert tagged_again(world, keys) == 0


def test_images_are_tagged_while_the_index_fails_and_it_is_used_again_later(world: ImagesWorld) -> None:
    keys = world.shown(REDS, "")
    images: OpenImages = world.wiring.images
    opened, now = images._library, [0.0]

    def failing() -> object:
        raise IndexFault("made up")

    images.close()
    images._library, images._clock = failing, lambda: now[0]  # type: ignore[assignment]
    assert tagged_again(world, keys) == len(keys)
    assert world.record(keys[0]).state == "done"
    images._library = opened
    assert tagged_again(world, keys) == len(keys)  # it rests
    now[0] += PAUSE_S
    assert tagged_again(world, keys) == 0


def test_the_index_follows_the_records(world: ImagesWorld) -> None:
    keys = world.shown(REDS[:2], "")
    while world.follower.step():
        pass
    assert "cat" in entry(world, keys[0]).tags
    world.teacher.say("inbox", keys[0], "Chelsea", True)
    world.teacher.say("inbox", keys[0], "cat", False)
    while world.follower.step():
        pass
    assert "chelsea" in entry(world, keys[0]).tags
    assert "cat" not in entry(world, keys[0]).tags
    world.remove(keys[0])
    world.all_settled()
    while world.follower.step():
        pass
    assert world.wiring.images.index().get([image_id("inbox", keys[0])])[0] == []
    assert world.wiring.images.index().count() == 1
