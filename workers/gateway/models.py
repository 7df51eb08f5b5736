"""The answers as the specification shows them. What is sent is written by msgspec; a test holds it to these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query, Response
from pydantic import BaseModel, Field

from workers.gateway.problems import MEDIA_TYPE
from workers.gateway.problems import Problem as Refused

State = Literal["done", "failed", "dead", "skipped"]
Limit = Annotated[int, Query(ge=1, le=500, description="how many at the most")]
Cursor = Annotated[
    str | None, Query(max_length=1000, description="where to go on: the `cursor` of the answer before")
]


class Problem(BaseModel):
    """An error (RFC 9457). `type` is for programs and stable, `detail` for people."""

    type: str = Field(examples=["urn:wildtag:problem:too-large"])
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None


class Tag(BaseModel):
    """`score` = α · `image_score` + (1 − α) · `text_score`; `evidence`: positions in the record's evidence."""

    label: str
    score: float
    image_score: float
    text_score: float
    evidence: list[int]


class Evidence(BaseModel):
    """A caption that was found for the image; `similarity` is the cosine to it."""

    caption: str
    similarity: float


class Error(BaseModel):
    """Why there are no tags."""

    code: str
    reason: str


class Label(BaseModel):
    """A value of a label map, by its place in the list; `colour` as `#rrggbb`. The first is `unknown`."""

    label: str
    colour: str


class RunLengths(BaseModel):
    """A mask as COCO's compact run-length encoding; `size`: height and width of the label map."""

    size: Annotated[list[int], Field(min_length=2, max_length=2)]
    counts: str


class SegmentEvidence(BaseModel):
    """A caption that names a segment."""

    id: int
    caption: str
    similarity: float


class Segment(BaseModel):
    """A connected part of the image with one label. `box`: x, y, width, height in pixels; `area`: its share."""

    label: str
    score: float
    box: Annotated[list[int], Field(min_length=4, max_length=4)]
    area: float
    mask: RunLengths
    evidence: list[SegmentEvidence]


class Artifacts(BaseModel):
    """Keys in the bucket; `/v1/label-maps` and `/v1/overlays` serve them."""

    label_map: str
    overlay: str


class Segmentation(BaseModel):
    """What is where. `error`: why there is none, in an image that has its tags all the same."""

    method: str
    width: int
    height: int
    labels: list[Label]
    segments: list[Segment] = Field(description="largest first")
    artifacts: Artifacts | None
    error: Error | None


class Record(BaseModel):
    """The final word on one version of one object."""

    bucket: str
    key: str
    etag: str
    state: State
    tags: list[Tag]
    unknown: bool = Field(description="no caption is near enough to say what the image shows")
    evidence: list[Evidence]
    space_id: str
    captions_version: str
    timings_ms: dict[str, float]
    error: Error | None
    segmentation: Segmentation | None = Field(description="where that was asked for")
    version_id: str | None
    finished_at: float


class Progress(BaseModel):
    """Where an object is. Times are Unix seconds."""

    id: str | None = Field(description="of an upload; other objects have none")
    bucket: str
    key: str
    etag: str
    state: Literal[
        "queued", "embedding", "retrieval", "extraction", "scoring", "segmentation",
        "done", "failed", "dead", "skipped",
    ]  # fmt: skip
    position: int | None = Field(description="while it is queued: how many objects are ahead of it")
    accepted_at: float | None
    stages: dict[str, float] = Field(description="when it came to each stage")
    attempts: int
    fault: str | None = Field(description="what it waits for to pass")
    record: Record | None = Field(description="once it is final")
    finished_at: float | None


class DirectUpload(BaseModel):
    """Where to PUT an image, with which headers; the id is then polled as any other."""

    id: str
    url: str
    method: Literal["PUT"]
    headers: dict[str, str]
    expires_at: float


class Records(BaseModel):
    """Records; `cursor` leads to more."""

    objects: list[Record]
    cursor: str | None


class TagCount(BaseModel):
    """A tag and how many objects carry it."""

    label: str
    objects: int


class Tags(BaseModel):
    """Tags, the most frequent first."""

    tags: list[TagCount]
    cursor: str | None


class Scored(BaseModel):
    """An object with the score of the tag that was asked for."""

    score: float
    record: Record


class Tagged(BaseModel):
    """Objects with a tag, the best first."""

    label: str
    objects: list[Scored]
    cursor: str | None


class Batch(BaseModel):
    """Where the objects of a batch are. `complete`: all of its objects are known."""

    id: str
    created_at: float
    complete: bool
    finished: bool
    total: int
    counts: dict[str, int] = Field(description="objects by state; `gone`: not in the bucket, or not followed")
    failures: list[Failure]
    cursor: str | None


class Failure(BaseModel):
    """An object of a batch that has no tags, and why."""

    bucket: str
    key: str
    state: str
    error: Error | None


class Caption(BaseModel):
    """A caption that was taught. `added`: it was not there before."""

    id: str
    caption: str
    added: bool


class Captions(BaseModel):
    """Captions that were taught."""

    captions: list[Caption]


class FoundCaption(BaseModel):
    """A caption; `similarity` is the cosine to the text. `source`: who taught it, if it was taught."""

    id: str
    caption: str
    similarity: float
    source: str | None


class FoundCaptions(BaseModel):
    """Captions, the nearest first."""

    captions: list[FoundCaption]


class DeadLetter(BaseModel):
    """A webhook that was given up. `since`: when it was due first; `delivery`: what its receiver knows it by."""

    id: str
    delivery: str
    type: str
    bucket: str
    key: str
    since: float
    died_at: float
    attempts: int
    reason: str


class DeadLetters(BaseModel):
    """Webhooks that were given up, the newest first."""

    deliveries: list[DeadLetter]
    cursor: str | None


class Outage(BaseModel):
    """What is away and waited for: `redis`, `broker`, `store`, `captions` (a Qdrant server), or a process's own."""

    name: str
    reason: str
    since: float
    seconds: float = Field(description="since it began")
    waiting: int | None = Field(description="how many objects wait for it, where that is known")


class Source(BaseModel):
    """How an event source is. `deaf`: the server takes the request and sends nothing."""

    state: Literal["working", "deaf", "away", "refused"]
    since: float
    reason: str
    at: float = Field(description="when that was noted last")


class Status(BaseModel):
    """The state of the system."""

    bucket: str
    counts: dict[str, int]
    seconds_since_progress: dict[str, float]
    captions_version: str | None
    flower: str | None
    outages: list[Outage]
    sources: dict[str, Source]


class Ready(BaseModel):
    """Whether requests can be served: `missing` says what they lack.

    `outages`: services that are away, for which work waits. Without captions, say, images are taken in and tagged
    later.
    """

    ready: bool
    missing: dict[str, str]
    outages: list[Outage]


Batch.model_rebuild()

IMAGE_BODY: dict[str, Any] = {
    "security": [{"HTTPBearer": []}],
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object", "properties": {"image": {"type": "string", "format": "binary"}},
                    "required": ["image"],
                }
            },
        },
    },
    "parameters": [
        {
            "name": "Idempotency-Key", "in": "header", "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
            "description": "the same key with the same image gives the same id, for a day",
        }
    ],
}  # fmt: skip

WEBHOOK = {
    "post": {
        "tags": ["events"], "summary": "Minio", "operationId": "minio_events",
        "description": "What a MinIO server tells of its bucket (its webhook target).",
        "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}},
        "responses": {
            "200": {"description": "stored"}, "202": {"description": "set aside with its reason"},
            "400": {"description": "the sender hung up"},
            **{
                str(status): {
                    "description": what, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
                }
                for status, what in (
                    (401, "the token is wrong"), (403, "not allowed"), (408, "it came too slowly"),
                    (503, "nothing is stored"),
                )
            },
        },
        "security": [{"HTTPBearer": []}],
    }
}  # fmt: skip


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, beside 401 and 403, which all have."""
    schema = {"$ref": "#/components/schemas/Problem"}
    told = {400: "cannot be read", 401: "a key is needed", 403: "not allowed", 404: "not there",
            408: "it came too slowly", 409: "at work", 413: "too large", 415: "no image",
            422: "not as specified", 429: "too many", 501: "not in this deployment",
            503: "away, or busy"}  # fmt: skip
    return {
        status: {"description": told[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({401, 403, *statuses})
    }


def stream(*statuses: int) -> dict[str, Any]:
    """A route that gives server-sent events."""
    return {
        "responses": problems(*statuses) | {200: {"description": "events", "content": {"text/event-stream": {}}}},
        "response_model": None, "response_class": Response,  # FastAPI would add JSON to the events
    }  # fmt: skip


def json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer of JSON."""
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def position(cursor: str | None) -> int:
    """A cursor that counts. Raises ``Refused``."""
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 12:
        raise Refused("bad-request", "this cursor is none of ours")
    return int(cursor)
