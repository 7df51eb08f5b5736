"""Creates what changes the encoder: the second pipeline, and what compares it with the one in use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any

from tasks.encoders.protocols import TextEncoder
from tasks.message_parts import Floats, Vectors
from vectordb.errors import Permanent
from vectordb.index import CaptionIndex
from vectordb.library import safe
from workers.captions import starter
from workers.captions.another_space import encode_for, is_level, level
from workers.captions.versions import chosen
from workers.dispatch.encoder_switch import EncoderSwitch
from workers.dispatch.preparation import Compared, Preparation, Side
from workers.lifecycle.record_reader import Records
from workers.lifecycle.times import rfc3339
from workers.redis.connection import text, translated
from workers.redis.encoders import ChosenEncoder
from workers.redis.keys import Keys
from workers.settings import encoder_in_use
from workers.settings.settings import Settings
from workers.wiring.captions import deriving, image_library_of, library_of
from workers.wiring.models import text_encoder_loader
from workers.wiring.wiring import Wiring

LOCK = "encoder"


def started_elsewhere() -> bool:
    """Whether Compose, Kubernetes, systemd or a person starts the processes, and not the embedded stack."""
    return "redis_url" in Settings().model_fields_set


def require_possible(settings: Settings) -> None:
    """Raises ``Permanent`` where the encoder can only be changed with a gap."""
    for reason in (
        "with several partitions (WILDTAG_PARTITIONS)" if settings.partitions > 1 else "",
        "with RabbitMQ as the broker (WILDTAG_BROKER_URL)" if settings.broker.startswith("amqp") else "",
        "with WILDTAG_REDIS_URL and without a Qdrant server (WILDTAG_QDRANT_URL)"
        if started_elsewhere() and settings.qdrant_url is None else "",
    ):  # fmt: skip
        if reason:
            raise Permanent(
                f"the encoder cannot be changed without a gap {reason}. Set WILDTAG_ENCODER, start all processes"
                " again, and run `wildtag retag --all`; until that ends, images have tags of both encoders"
            )


def is_held(wiring: Wiring) -> bool:
    """Whether a command that changes the encoder is running, where somebody else starts the processes."""
    redis: Any = wiring.redis
    with translated():
        return bool(redis.exists(wiring.keys.lock(LOCK)))


def next_settings(settings: Settings, change: ChosenEncoder) -> Settings:
    """The settings of the second pipeline."""
    prefix = f"{settings.key_prefix}{encoder_in_use.NEXT}"
    return settings.model_copy(update={
        "encoder": change.encoder, "runtime": change.runtime, "key_prefix": prefix,
        "segment_prefixes": (), "write_back": "off", "words_ahead": False,
    })  # fmt: skip


def progress_of(wiring: Wiring) -> dict[str, object] | None:
    """How far an encoder that prepares is, as JSON values; ``None`` without one. Counts, and compares nothing."""
    change = wiring.encoders.change()
    if change is None:
        return None
    prepared, note = Records(wiring.redis, Keys(wiring.keys.next)).counts()["done"], wiring.encoders.feeder()
    feeder = None if note is None else {
        "doing": note.doing, "done": note.done, "total": note.total, "rate": note.rate, "left_s": note.left_s,
        "fault": note.fault,
    }  # fmt: skip
    return {
        "encoder": change.encoder, "space": change.space, "since": rfc3339(change.since), "prepared": prepared,
        "feeder": feeder,
    }  # fmt: skip


def side(wiring: Wiring) -> Side:
    """One of both pipelines."""
    return Side(wiring.redis, wiring.keys, wiring.records, wiring.ledger, wiring.inbox)


def preparation(
    now: Wiring, next_: Wiring, space_id: str, rate: float | None = None,
    tick: Callable[[Compared], None] = lambda _: None,
) -> Preparation:  # fmt: skip
    """Submits to the second pipeline what it lacks. ``space_id``: of its encoder; this loads nothing of it."""
    return Preparation(side(now), side(next_), space_id, rate, tick)


def encoder_switch(wiring: Wiring) -> EncoderSwitch:
    """Switches to the encoder that has prepared everything."""
    return EncoderSwitch(wiring.redis, wiring.keys, wiring.records)


def encode_captions(
    now: Wiring, next_: Wiring, progress: starter.Progress, load: Callable[[], TextEncoder] | None = None
) -> None:
    """Encode the captions in use for the other encoder, or resume that; what was taught since is added.

    ``load``: gives the text encoder; it is loaded in this process when not given.
    """
    version = chosen(now.library, now.space.id, now.settings.captions)
    manifest = now.library.find(now.space.id, version)
    if manifest is None:
        raise Permanent(f"the captions in use, {version}, are gone: wildtag captions use NAME")
    s, space, load = next_.settings, next_.space, load or cache(text_encoder_loader(next_.settings))
    jobs: list[str] = []

    def follow(vectors: Floats) -> None:
        if next_.records.counts()["done"]:  # they were tagged without these captions
            jobs.append(next_.follow_jobs.prepare(Vectors.of(vectors), version, dry=False))

    with _captions_in_use(now, version) as source:
        encode_for(
            next_.library, manifest, source, space, load, datetime.now(UTC), progress,
            deriving(s, space, load) or starter.none,
        )  # fmt: skip
        target = next_.library.open(space.id, version)
        try:
            level(source, target, load, follow)
        finally:
            target.close()
    for job in jobs:
        next_.follow_jobs.postpone(job)


@contextmanager
def _captions_in_use(now: Wiring, version: str) -> Iterator[CaptionIndex]:
    """Their index: through the worker of the running stack that owns it, or on the Qdrant server."""
    if now.owned:
        yield now.remote_index(version)
        return
    index = now.library.open(now.space.id, version)
    try:
        yield index
    finally:
        index.close()


def captions_are_level(now: Wiring, next_: Wiring) -> bool:
    """Whether both encoders have the same captions, what was taught included.

    With embedded captions, no second pipeline may run.
    """
    version = chosen(now.library, now.space.id, now.settings.captions)
    if next_.library.active(next_.space.id) != version or next_.library.find(next_.space.id, version) is None:
        return False
    target = next_.library.open(next_.space.id, version)
    try:
        with _captions_in_use(now, version) as source:
            return is_level(source, target)
    finally:
        target.close()


def follows_captions(next_: Wiring) -> bool:
    """Whether images are tagged again because of captions, or wait for it. In the order that they go through."""
    return bool(
        next_.follow_jobs.unfinished() or next_.backlog.waiting() or next_.low_priority_inbox.length()
        or side(next_).in_progress()
    )  # fmt: skip


def indexed(next_: Wiring) -> Callable[[], bool]:
    """Returns whether the index of images has followed the records."""
    redis: Any = next_.redis

    def reached() -> bool:
        with translated():
            position = text(redis.get(next_.keys.images_position) or b"0-0")
        return position == next_.records.feed_end() and not next_.publisher.queued("retrieval")

    return reached


def restored_already(now: Wiring) -> None:
    """Keep the other pipeline from reading the journal of what people said: it is copied from the one in use."""
    redis: Any = now.redis
    with translated():
        redis.set(Keys(now.keys.next).statements_restored, b"1")


def note_in_home(settings: Settings, chosen_: ChosenEncoder) -> None:
    """Note the encoder in use in the home, so that it is known while no stack runs."""
    encoder_in_use.write(settings.home, chosen_.encoder, chosen_.runtime, chosen_.replaced)


def drop_space(settings: Settings, space_id: str, *, captions: bool = True) -> int:
    """Remove the captions, the index of images and the words of a space. Returns the bytes that became free, about.

    ``captions``: whether those, too. Raises ``OSError`` for a file in a folder that is read-only here.
    """
    library = library_of(settings)
    freed = sum(library.size(space_id, one.captions_version) for one in library.manifests(space_id) if captions)
    folders = [settings.images_folder / safe(space_id)]
    words = [settings.cache_folder / f"words-{space_id}.sqlite{end}" for end in ("", "-wal", "-shm")]
    freed += sum(
        (os.path.getsize(os.path.join(above, name)))  # noqa: PTH118, PTH202 -- os.walk gives strings
        for folder in folders for above, _, names in os.walk(folder) for name in names
    )  # fmt: skip
    freed += sum(file.stat().st_size for file in words if file.exists())
    image_library_of(settings).drop(space_id)
    if captions:
        library.drop_space(space_id)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    for file in words:
        with suppress(FileNotFoundError):
            file.unlink()
    return freed
