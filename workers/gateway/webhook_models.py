"""The OpenAPI schemas of webhooks: the bodies that receivers get, how receivers stand, and failed deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from workers.gateway.record_models import Failure, Record


class RecordEvent(BaseModel):
    """An object was tagged, or ended without tags: the record as it was then."""

    type: Literal["object.done", "object.failed", "object.dead", "object.skipped"]
    timestamp: datetime = Field(description="When it happened.")
    data: Record


class RemovedObject(BaseModel):
    """An object that is not in the bucket any more. What is not known of it is absent."""

    bucket: str
    key: str
    state: Literal["removed"]
    etag: str | None = Field(default=None, description="Of the last version with a record.")
    version_id: str | None = Field(default=None)
    file_name: str | None = Field(default=None, description="The name of the uploaded file.")
    client_id: str | None = Field(default=None, description="The client's own id.")
    metadata: dict[str, str] | None = Field(default=None, description="What its owner wrote beside the object.")


class RemovedEvent(BaseModel):
    """An object was removed."""

    type: Literal["object.removed"]
    timestamp: datetime = Field(description="When it was noticed.")
    data: RemovedObject


class FinishedBatch(BaseModel):
    """A batch all of whose objects have a final state or are gone."""

    id: str
    created_at: datetime
    finished_at: datetime = Field(description="When the end was noticed.")
    prefix: str | None = Field(description="If the batch is over a prefix.")
    total: int
    counts: dict[str, int] = Field(
        description="Number of objects by state. `gone`: not in the bucket, or excluded by the filter."
    )
    failures: list[Failure] = Field(
        description="At most 100, without those that are gone; `GET /v1/batches/{id}` lists all."
    )
    gone: list[str] = Field(description="Keys of objects that are gone, at most 100.")


class BatchEvent(BaseModel):
    """A batch is finished."""

    type: Literal["batch.finished"]
    timestamp: datetime
    data: FinishedBatch


class WebhookReceiver(BaseModel):
    """A receiver of webhooks, and how it stands."""

    name: str
    place: str = Field(description="Its address without the path, which may be a secret.")
    events: list[str] = Field(description="The kinds of events that it gets.")
    served: bool = Field(description="A notifier runs for it.")
    paused_since: datetime | None = Field(description="An operator has paused it.")
    waiting: int = Field(description="Number of deliveries that wait.")
    waiting_bytes: int
    delivered: int
    retried: int = Field(description="Number of failed attempts that were repeated.")
    dead: int = Field(description="Number of deliveries that were given up so far.")
    dead_letters: int = Field(description="Number of these that are stored.")
    lost: int = Field(description="Number of events that were trimmed from the feed before they were read.")
    unread: int | None = Field(description="Number of entries of the feed to be read; null if it is not known.")
    failing_since: datetime | None = Field(description="Every attempt has failed since.")
    held_until: datetime | None = Field(description="The receiver has asked for a pause until then.")
    last_at: datetime | None
    last_answer: str | None = Field(description="The last answer, or why there was none.")


class WebhookReceivers(BaseModel):
    """All receivers that a notifier has served, by name."""

    receivers: list[WebhookReceiver]


class DeadLetter(BaseModel):
    """A webhook delivery that failed all attempts."""

    id: str
    receiver: str
    delivery: str = Field(description="The delivery's id as the receiver got it.")
    type: str
    bucket: str
    key: str
    batch: str = Field(description="The id of a finished batch; otherwise empty.")
    since: datetime = Field(description="When the first attempt was due.")
    died_at: datetime
    attempts: int
    reason: str


class DeadLetters(BaseModel):
    """A page of failed webhook deliveries, newest first."""

    deliveries: list[DeadLetter]
    cursor: str | None = Field(description="Pass it to get the next page; null on the last page.")
