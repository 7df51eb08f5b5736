"""The OpenAPI schemas of all responses except records; see ``record_models``.

msgspec writes the responses; a test checks them against these schemas.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from workers.gateway.record_models import Failure, PartialRecord, Progress, Record
from workers.gateway.webhook_models import WebhookReceiver


class Problem(BaseModel):
    """An error (RFC 9457). `type` is stable and for programs, `detail` is for people."""

    type: str = Field(examples=["urn:wildtag:problem:too-large"])
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = Field(None, description="The invalid parameters and fields.")
    request_id: str | None = Field(None, description="The id of the request, as in `X-Request-Id` and in all logs.")
    code: str | None = Field(None, description="Why an image cannot be decoded: the code of a failed record.")


class Images(BaseModel):
    """The images of a form with several files, in their order."""

    images: list[Progress]


class DirectUpload(BaseModel):
    """A form that uploads the image, as `multipart/form-data`. Then poll the id.

    Send `fields` in this order, then the image as the field `file`. Another type or size of the image is refused.
    """

    id: str
    url: str
    method: Literal["POST"]
    fields: dict[str, str]
    max_bytes: int = Field(description="Maximum bytes of the image.")
    expires_at: datetime


class Records(BaseModel):
    """A page of records."""

    objects: list[Record | PartialRecord]
    cursor: str | None = Field(description="Pass it to get the next page; null on the last page.")


class TagCount(BaseModel):
    """A tag, in its most common spelling, and the number of objects with it."""

    label: str
    objects: int = Field(description="Number of objects with this tag, or with a segment of this label.")
    implied: int = Field(description="Number of further objects with a tag that implies this one.")


class Tags(BaseModel):
    """A page of tags, most frequent first."""

    tags: list[TagCount]
    cursor: str | None = Field(description="Pass it to get the next page; null on the last page.")


class TaggedObject(BaseModel):
    """An object with the requested tag."""

    tag: str = Field(description="The tag of the record, or the label of a segment, that was found.")
    confidence: float | None = Field(description="Its confidence; null where the record has none.")
    score: float
    implied: bool = Field(description="`tag` is not the requested one and implies it: egyptian cat for cat.")
    segment: bool = Field(description="`tag` is the label of a segment.")
    record: Record | PartialRecord


class Tagged(BaseModel):
    """A page of objects with a tag: first with the tag itself, then with a segment, then implied; surest first."""

    label: str = Field(description="The tag in its most common spelling, or as requested if it is unknown.")
    objects: list[TaggedObject]
    cursor: str | None = Field(description="Pass it to get the next page; null on the last page.")
    hint: str | None = Field(description="That no object has the tag, and which ones are probably meant.")


class Batch(BaseModel):
    """The state of a batch."""

    id: str
    created_at: datetime
    complete: bool = Field(description="All objects of the batch are listed.")
    finished: bool = Field(description="All objects of the batch have a final state.")
    total: int
    counts: dict[str, int] = Field(
        description="Number of objects by state. `gone`: not in the bucket, or excluded by the filter."
    )
    failures: list[Failure] = Field(description="In the order in which they ended.")
    cursor: str | None = Field(description="Pass it to get more failures; null on the last page.")


class Caption(BaseModel):
    """An added caption. `added` is false if it existed before. `images`: how many images a new one concerns."""

    id: str
    caption: str
    added: bool
    images: int


class Captions(BaseModel):
    """The added captions. `images`: how many images are tagged again, because a new caption concerns them."""

    captions: list[Caption]
    images: int
    complete: bool = Field(description="All images were compared. Otherwise it goes on, and more are tagged again.")


class FoundCaption(BaseModel):
    """A caption that was found."""

    id: str
    caption: str
    similarity: float = Field(description="Cosine similarity of the text and the caption.")
    source: str | None = Field(description="The source of a caption that was added over the API.")


class FoundCaptions(BaseModel):
    """Captions, nearest first."""

    captions: list[FoundCaption]


class Outage(BaseModel):
    """An unavailable service: `redis`, `broker`, `store`, `captions` (Qdrant), or a fault of one process."""

    name: str
    reason: str
    since: datetime
    seconds: float = Field(description="Duration of the outage.")
    waiting: int | None = Field(description="Number of objects that wait for the service, if known.")


class HeldRemovals(BaseModel):
    """Removals that are held, because too many objects are missing at once. The records of the objects are kept."""

    bucket: str
    missing: int = Field(description="Number of missing objects.")
    known: int = Field(description="Number of objects with a record.")
    reason: str
    since: datetime


class Source(BaseModel):
    """The state of an event source. `deaf`: the server accepts the connection but sends no events."""

    state: Literal["working", "deaf", "away", "refused"]
    since: datetime
    reason: str
    at: datetime = Field(description="When the state was last reported.")


class ImageIndexStanding(BaseModel):
    """The last comparison of the index of images with the records."""

    at: datetime = Field(description="When.")
    records: int = Field(description="Number of tagged images, without those in progress.")
    indexed: int = Field(description="Number of these that are in the index.")
    faults: dict[str, int] = Field(description="Number of faults by kind, before their repair.")
    unreadable: int = Field(description="Number of images that cannot be read any more.")


class Coverage(BaseModel):
    """How many of the tagged images a search can find, now."""

    tagged: int = Field(description="Number of tagged images.")
    indexed: int | None = Field(description="Number of images in the index; null if it does not answer.")
    incomplete: str | None = Field(description="Which images cannot be found, and why; null if all can.")


class DataLoss(BaseModel):
    """The last loss of all keys of Redis. Numbers are those of a few seconds before; 0 if they are not known."""

    at: datetime = Field(description="When it was noticed.")
    records: int = Field(description="Number of records, which are made again from the bucket.")
    unfinished: int = Field(description="Number of objects that waited or were in progress; they are found again.")
    api_keys: int = Field(description="Number of lost API keys: create them again.")
    deliveries: int = Field(description="Number of lost webhook deliveries, with dead letters.")
    segmentation_requests: int = Field(description="Number of lost segmentation requests.")
    acknowledged_at: datetime | None = Field(
        None, description="When it was acknowledged (`wildtag status --acknowledge-loss`); null if it was not."
    )


class QueueDepth(BaseModel):
    """One queue."""

    ready: int = Field(description="Messages that no worker has received.")
    consumers: int | None = Field(description="Workers on the queue; `null` with Redis as the broker.")


class Queues(BaseModel):
    """What is on the queues."""

    queues: dict[str, QueueDepth]
    unacknowledged: int | None = Field(
        description="Messages that workers hold, of all queues; `null` with RabbitMQ as the broker."
    )


class ModelInUse(BaseModel):
    """A model that a worker has loaded, and how it computes."""

    queue: str = Field(description="The queue that the worker consumes.")
    model: str = Field(description="Its role, such as `image encoder`.")
    process: str
    device: str = Field(description="Such as `cpu` or `cuda:0`.")
    runtime: str
    dtype: str = Field(description="The number format, such as `bfloat16`.")
    batch: int = Field(description="Images, texts or points at once at most. Halved when memory was full.")
    hardware: str
    reason: str = Field(description="Why the CPU is used although an accelerator seems to be present, or empty.")
    at: datetime = Field(description="When the worker last reported it.")


class Status(BaseModel):
    """The state of the system."""

    bucket: str
    counts: dict[str, int] = Field(description="Number of objects by state.")
    seconds_since_progress: dict[str, float] = Field(description="Seconds since the last progress, by stage.")
    captions_version: str | None
    flower: str | None = Field(description="The URL of Flower.")
    queues: Queues | None = Field(description="`null` while the message broker is away.")
    models: list[ModelInUse]
    outages: list[Outage]
    held_removals: list[HeldRemovals]
    sources: dict[str, Source]
    image_index: ImageIndexStanding | None = Field(description="`null` until the first comparison.")
    coverage: Coverage
    webhooks: list[WebhookReceiver] = Field(description="The receivers of webhooks, and how they stand.")
    data_loss: DataLoss | None = Field(description="The last loss of all keys of Redis, for a week.")
    refilling_since: datetime | None = Field(
        description="Redis was empty then, and the bucket was not compared completely since."
    )
    draining_since: datetime | None = Field(
        description="Since then images are accepted, and none is tagged until the drain ends."
    )


class Ready(BaseModel):
    """Whether the gateway can serve requests.

    `missing` lists the services that it requires and their errors. `outages` lists all unavailable services: without
    captions, for example, images are accepted and tagged later. `held_removals` lists buckets
    with too many missing objects. Without access to `/v1/status` a reason says only since when the service is away.
    """

    ready: bool
    missing: dict[str, str]
    outages: list[Outage]
    held_removals: list[HeldRemovals]
    draining_since: datetime | None = Field(
        description="Since then images are accepted, and none is tagged until the drain ends. It is still ready."
    )
