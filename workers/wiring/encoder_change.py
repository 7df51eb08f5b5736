"""Creates what changes the encoder: the second pipeline, and what compares it with the one in use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache

from tasks.message_parts import Floats, Vectors
from vectordb.errors import Permanent
from vectordb.library import safe
from workers.captions import starter
from workers.captions.another_space import encode_for, is_level, level
from workers.captions.versions import chosen
from workers.dispatch.encoder_switch import EncoderSwitch
from workers.dispatch.preparation import Compared, Preparation, Side
from workers.lifecycle.record_reader import Records
from workers.lifecycle.times import rfc3339
from workers.redis.encoders import ChosenEncoder
from workers.redis.keys import Keys
from workers.settings import encoder_in_use
from workers.settings.settings import Settings
from workers.wiring.captions import deriving, image_library_of
from workers.wiring.models import text_encoder_loader
from workers.wiring.wiring import Wiring


def require_possible(settings: Settings) -> None:
    """Raises ``Permanent`` where the encoder can only be changed with a gap."""
    for reason in (
        "with WILDTAG_REDIS_URL" if "redis_url" in Settings().model_fields_set else "",
        "with several partitions" if settings.partitions > 1 else "",
        "with a Qdrant server" if settings.qdrant_url is not None else "",
        "with RabbitMQ as the broker" if settings.broker.startswith("amqp") else "",
    ):
        if reason:
            raise Permanent(
                f"the encoder cannot be changed without a gap {reason}: only in an embedded home. Set"
                " WILDTAG_ENCODER and run `wildtag retag --all`; until then images have tags of both encoders"
            )


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
    prepared = Records(wiring.redis, Keys(wiring.keys.next)).counts()["done"]
    return {"encoder": change.encoder, "space": change.space, "since": rfc3339(change.since), "prepared": prepared}


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


def encode_captions(now: Wiring, next_: Wiring, progress: starter.Progress) -> None:
    """Encode the captions in use for the other encoder, through the worker of the running stack that owns them."""
    version = chosen(now.library, now.space.id, now.settings.captions)
    manifest = now.library.find(now.space.id, version)
    if manifest is None:
        raise Permanent(f"the captions in use, {version}, are gone: wildtag captions use NAME")
    s, space, load = next_.settings, next_.space, cache(text_encoder_loader(next_.settings))
    source = now.remote_index(version)
    encode_for(
        next_.library, manifest, source, space, load, datetime.now(UTC), progress,
        deriving(s, space, load) or starter.none,
    )  # fmt: skip
    jobs: list[str] = []

    def follow(vectors: Floats) -> None:
        if next_.records.counts()["done"]:  # they were tagged without these captions
            jobs.append(next_.follow_jobs.prepare(Vectors.of(vectors), version, dry=False))

    target = next_.library.open(space.id, version)
    try:
        level(source, target, load, follow)
    finally:
        target.close()
    for job in jobs:
        next_.follow_jobs.postpone(job)


def captions_are_level(now: Wiring, next_: Wiring) -> bool:
    """Whether both encoders have the same captions, what was taught included. No second pipeline may run."""
    version = chosen(now.library, now.space.id, now.settings.captions)
    if chosen(next_.library, next_.space.id, next_.settings.captions) != version:
        return False
    target = next_.library.open(next_.space.id, version)
    try:
        return is_level(now.remote_index(version), target)
    finally:
        target.close()


def follows_captions(next_: Wiring) -> bool:
    """Whether images are tagged again because of captions, or wait for it. In the order that they go through."""
    return bool(
        next_.follow_jobs.unfinished() or next_.backlog.waiting() or next_.low_priority_inbox.length()
        or side(next_).in_progress()
    )  # fmt: skip


def note_in_home(settings: Settings, chosen_: ChosenEncoder) -> None:
    """Note the encoder in use in the home, so that it is known while no stack runs."""
    encoder_in_use.write(settings.home, chosen_.encoder, chosen_.runtime, chosen_.replaced)


def drop_space(settings: Settings, space_id: str, *, captions: bool = True) -> int:
    """Remove the captions, the index of images and the words of a space. Returns the bytes that became free.

    ``captions``: whether those, too.
    """
    folders = [settings.images_folder / safe(space_id)]
    folders += [settings.captions_folder / safe(space_id)] if captions else []
    words = [settings.cache_folder / f"words-{space_id}.sqlite{end}" for end in ("", "-wal", "-shm")]
    freed = sum(
        (os.path.getsize(os.path.join(above, name)))  # noqa: PTH118, PTH202 -- os.walk gives strings
        for folder in folders for above, _, names in os.walk(folder) for name in names
    )  # fmt: skip
    freed += sum(file.stat().st_size for file in words if file.exists())
    image_library_of(settings).drop(space_id)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    for file in words:
        with suppress(FileNotFoundError):
            file.unlink()
    return freed
