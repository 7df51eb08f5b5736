"""The OpenAPI schemas of records and of the progress towards them.

msgspec writes the responses; a test checks them against these schemas.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

from pydantic import BaseModel, Field, create_model

State = Literal["done", "failed", "dead", "skipped"]


class Likeness(BaseModel):
    """The image looks like that of the object `object_id`, of which a person said `label`."""

    label: str
    object_id: str
    similarity: float = Field(description="Cosine similarity of the two images.")
    confidence: float


class Tag(BaseModel):
    """A tag. `score` = α · `image_score` + (1 − α) · `text_score`."""

    label: str
    score: float
    image_score: float
    text_score: float
    evidence: list[int] = Field(description="Indexes into the record's `evidence`.")
    confidence: float | None = Field(
        description="Probability that a person accepts the tag; null if the encoder has no confidence model, and in"
        " older records."
    )
    source: Literal["person", "example"] | None = Field(
        default=None,
        description="`person`: a person said so of this image; `example`: of an image that it looks like. Absent for"
        " tags that the method found.",
    )
    example: Likeness | None = Field(default=None, description="The example; absent without one.")


class Evidence(BaseModel):
    """A caption that was retrieved for the image."""

    caption: str
    similarity: float = Field(description="Cosine similarity of the image and the caption.")


class Error(BaseModel):
    """The reason of a failure. `code` is for programs, `reason` for people."""

    code: str
    reason: str


class Label(BaseModel):
    """The label of a value in the label map. The first label is `unknown`."""

    label: str
    colour: str = Field(description="`#rrggbb`")


class RunLengths(BaseModel):
    """A mask in COCO's compressed run-length encoding."""

    size: Annotated[list[int], Field(min_length=2, max_length=2, description="Height and width of the label map.")]
    counts: str


class SegmentEvidence(BaseModel):
    """A caption that names a segment."""

    id: int
    caption: str
    similarity: float = Field(description="Cosine similarity of the segment and the caption.")


class Segment(BaseModel):
    """A connected part of the image with one label."""

    label: str
    score: float
    box: Annotated[list[int], Field(min_length=4, max_length=4, description="x, y, width and height in pixels.")]
    area: float = Field(description="Share of the image, between 0 and 1.")
    mask: RunLengths
    evidence: list[SegmentEvidence]


class Artifacts(BaseModel):
    """Keys of the artifacts in the bucket. `/v1/label-maps` and `/v1/overlays` serve them."""

    label_map: str
    overlay: str


class Segmentation(BaseModel):
    """A segmentation. If it failed, `error` says why, and the image keeps its tags."""

    method: str
    width: int
    height: int
    labels: list[Label] = Field(description="Indexed by the values of the label map.")
    segments: list[Segment] = Field(description="Largest first.")
    artifacts: Artifacts | None
    error: Error | None


class MediaWarning(BaseModel):
    """What may be wrong with an image that was read."""

    code: str = Field(
        description="`may-be-truncated`: rows of zeros at the end of plain pixels are black, or were not written;"
        " `frames-missing`: the file says to have more frames; `profile-not-applied`: colours are shown without the"
        " file's colour profile."
    )
    reason: str = Field(description="For people.")


class Media(BaseModel):
    """What is known about the file."""

    format: str = Field(description="For example `JPEG`, `HEIC`, or `RAW` for camera raw files.")
    width: int = Field(description="Of the upright image, in pixels.")
    height: int = Field(description="Of the upright image, in pixels.")
    bytes: int = Field(description="Of the file.")
    frames: int = Field(description="Frames of an animation, or pages.")
    taken_at: str | None = Field(
        description="RFC 3339. Without a zone if the camera stored none: local time of the camera."
    )
    camera: str | None
    preview: bool = Field(description="The tags are those of the preview in a camera raw file.")
    latitude: float | None = Field(description="Degrees. Present if the setting `media_gps` is on.")
    longitude: float | None = Field(description="Degrees. Present if the setting `media_gps` is on.")
    warnings: list[MediaWarning] = Field(description="What may be wrong with the image. Empty for most.")


class Unknown(BaseModel):
    """Why an image has no tags."""

    code: str = Field(
        description="`featureless`: the image shows nothing; `no-captions`: the caption database is empty;"
        " `no-near-caption`: the nearest caption is not similar enough; `low-score`, `low-evidence`,"
        " `low-confidence`: no candidate reaches the minimum; `rejected`: people rejected its tags, or examples"
        " withheld them."
    )
    label: str | None = Field(description="The best candidate.")
    value: float | None = Field(
        description="Of the best candidate the score, the similarity of its best caption, or the confidence; or the"
        " similarity of the nearest caption."
    )
    least: float | None = Field(description="The minimum that `value` misses.")


class Record(BaseModel):
    """The final result for one version of one object."""

    bucket: str
    key: str
    etag: str
    state: State
    tags: list[Tag]
    unknown: bool = Field(description="The image has no tag that is sure enough; `unknown_because` says why.")
    evidence: list[Evidence]
    space_id: str
    captions_version: str
    timings_ms: dict[str, float] = Field(description="Milliseconds per stage, and in `total`.")
    error: Error | None
    segmentation: Segmentation | None = Field(description="Present if a segmentation was requested.")
    version_id: str | None
    finished_at: datetime
    media: Media | None = Field(description="The file; null if it could not be decoded, and in older records.")
    unknown_because: Unknown | None = Field(description="Null if the image has tags, and in older records.")
    retag_error: Error | None = Field(
        default=None,
        description="Why tagging this version again failed: all else is as it was before. Absent if it did not.",
    )
    rejected: list[str] | None = Field(default=None, description="Labels that a person rejected; absent without any.")
    file_name: str | None = Field(default=None, description="The name of the uploaded file; absent if unknown.")
    client_id: str | None = Field(default=None, description="The client's own id; absent without one.")
    metadata: dict[str, str] | None = Field(
        default=None, description="What the owner of the object wrote beside it; absent without any."
    )
    accepted_at: datetime | None = Field(default=None, description="When the object was accepted; absent if unknown.")
    stages: dict[str, datetime] | None = Field(
        default=None, description="When it entered each stage; empty or absent if unknown. See `timings_ms`."
    )


def partial(model: type[BaseModel], name: str, description: str) -> Any:
    """The model of an object that has some fields of another one."""
    fields: Any = {
        field: (Optional[about.annotation], Field(default=None, description=about.description))  # noqa: UP045 -- of a value
        for field, about in model.model_fields.items()
    }
    return create_model(name, __doc__=description, **fields)


if TYPE_CHECKING:
    PartialRecord = Record
else:
    PartialRecord = partial(
        Record, "PartialRecord", "The requested `fields` of a record, or one without evidence (`view=brief`)."
    )


class Progress(BaseModel):
    """The state of an object."""

    id: str | None = Field(description="The id of an upload; null for other objects.")
    bucket: str
    key: str
    etag: str
    state: Literal[
        "queued", "embedding", "retrieval", "extraction", "scoring", "segmentation",
        "done", "failed", "dead", "skipped",
    ]  # fmt: skip
    position: int | None = Field(description="Number of objects ahead in the queue.")
    accepted_at: datetime | None
    stages: dict[str, datetime] = Field(description="When the object reached each stage; kept once it is finished.")
    attempts: int
    fault: str | None = Field(description="The temporary fault that the object waits for.")
    file_name: str | None = Field(description="The name of the uploaded file.")
    client_id: str | None = Field(description="The client's own id.")
    metadata: dict[str, str] = Field(description="What the owner of the object wrote beside it.")
    record: Record | PartialRecord | None = Field(description="Present once the state is final.")
    finished_at: datetime | None
    previous: Record | PartialRecord | None = Field(
        description="The last record of this version, while it is tagged again."
    )


class Failure(BaseModel):
    """An object of a batch without tags, and the reason. `gone`: not in the bucket, or excluded by the filter.

    `state` and `error` are those of the moment of the answer. They differ from the end of the batch once the object
    was tagged again or removed, which the counts of the batch do not follow.
    """

    bucket: str
    key: str
    state: str
    error: Error | None
