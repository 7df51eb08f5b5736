"""Which objects are tagged, and how changes of the bucket are detected."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator

from workers.settings.access_urls import require_encoded
from workers.settings.topic import Topic, Words


class EventSettings(Topic):
    """Event sources and the object filter."""

    follow: Words = Field(
        (),
        description="Tag only keys that match one of these patterns, as in a .gitignore file, for example"
        " *.jpg,holidays/,!*.thumb.jpg. Default: all keys.",
    )
    follow_prefixes: Words = Field(
        (), description="Tag only keys that start with one of these prefixes. Default: all keys."
    )
    follow_suffixes: Words = Field(
        (), description="Tag only keys that end with one of these suffixes, for example .jpg,.png. Default: all keys."
    )
    follow_types: Words = Field(
        (),
        description="Tag only objects of these content types, for example image/*. Where the store reports none,"
        " or an unspecified one such as application/octet-stream, the content decides. Default: all types.",
    )
    ignore: Words = Field(
        (),
        description="Ignore keys that match one of these patterns, as in a .gitignore file. They follow the list of"
        " well-known side files: !*.tmp takes back a pattern of that list.",
    )
    ignore_prefixes: Words = Field((), description="Ignore keys that start with one of these prefixes.")
    ignore_suffixes: Words = Field((), description="Ignore keys that end with one of these suffixes.")
    ignore_types: Words = Field((), description="Ignore objects of these content types, for example image/svg+xml.")
    inbox_max: PositiveInt = Field(
        500_000,
        description="Events that may wait in the inbox, about 200 bytes each in Redis. Above it their senders wait:"
        " the gateway answers 503, and MinIO sends the event again; folders and buckets are compared later.",
    )
    listen: bool = Field(
        default=True, description="Consume bucket notifications over MinIO's listen API, besides other sources."
    )
    settle_ms: PositiveInt = Field(
        250, description="Time for which a file's size must be stable before the file is read, in milliseconds."
    )
    grace_s: NonNegativeFloat = Field(
        10.0,
        description="Time after the last change of a file during which it does not fail although it is empty, cut"
        " off or not an image, in seconds: its writer may only have paused.",
    )
    follow_links: Literal["none", "inside", "anywhere"] = Field(
        "none",
        description="Links to folders in the inbox that are followed. inside: those to folders inside the inbox;"
        " anywhere: also those that lead outside of it, and links to files outside.",
    )
    rescan_s: PositiveFloat = Field(
        60.0, description="Interval at which the bucket is compared with the records, in seconds."
    )
    hold_removals: bool = Field(
        default=True,
        description="Keep the records when very many objects are missing at once, or the folder is empty and was"
        " replaced, until the removals are confirmed or the objects are back."
        " Switch it off where the bucket is emptied regularly.",
    )
    removals_share: float = Field(
        0.1, ge=0, le=1,
        description="Share of the known objects that may be missing at once. Removals beyond it are held until they"
        " are confirmed or the objects are back, and so are removals of all objects.",
    )  # fmt: skip
    removals_least: PositiveInt = Field(
        20, description="Number of missing objects below which removals are not held, unless all objects are missing."
    )
    reconcile_rate: float | None = Field(
        None, ge=0.1, description="Objects per second that this comparison examines at most. Default: no limit."
    )
    redis_target_url: str | None = Field(
        None, description="URL of the Redis to which MinIO's Redis target writes. Default: redis_url."
    )

    @field_validator("redis_target_url")
    @classmethod
    def _target_is_readable(cls, value: str | None) -> str | None:
        if value is not None:
            require_encoded(value)
        return value

    redis_target_key: str = Field(
        "minio-events", min_length=1, description="Key to which MinIO's Redis target writes."
    )
    redis_target_format: Literal["access", "namespace"] = Field(
        "access",
        description="Format of MinIO's Redis target. access: a list of events; namespace: a hash of objects.",
    )
