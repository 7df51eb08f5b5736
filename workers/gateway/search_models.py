"""The OpenAPI schemas of search. See ``workers.gateway.models``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from workers.gateway.record_models import Error, State, partial


class BriefTag(BaseModel):
    """A tag of the image, without its evidence."""

    label: str
    score: float
    confidence: float | None = Field(description="Null where the record has none.")


class FoundImage(BaseModel):
    """An image, and why it was found.

    An image can be found by its vector (`similarity`), by words (`tags`, `metadata`, `words`), or by both.
    """

    id: str | None = Field(description="The id of an uploaded image.")
    bucket: str
    key: str
    etag: str
    state: State
    error: Error | None = Field(description="Why it has no tags; null if it is tagged.")
    score: float = Field(description="Of the ranking, to compare images of one search; 0 for filters alone.")
    similarity: float | None = Field(
        description="Cosine similarity of the image to the text or image; null if its vector did not find it."
    )
    tags: list[str] = Field(
        description="The labels of the image that match the text, as the record spells them: its tags, the labels of"
        " its segments, and those that imply a word of the text, as egyptian cat implies cat."
    )
    words: list[str] = Field(description="Other words of the text by which it is found, as those of its file name.")
    metadata: list[str] = Field(
        description="What the owner of the object wrote and the text names, as `title: Sunset in Paris`."
    )
    all_tags: list[BriefTag] = Field(description="All tags of the image.")
    unknown: bool = Field(description="No tag is sure enough.")
    taken_at: str | None = Field(description="When the image was taken, RFC 3339; without a zone if none is known.")
    finished_at: datetime = Field(description="When the image was tagged.")
    file_name: str | None = Field(description="The name of the uploaded file.")
    client_id: str | None = Field(description="The client's own id.")
    all_metadata: dict[str, str] = Field(description="All that the owner of the object wrote beside it.")


if TYPE_CHECKING:
    PartialImage = FoundImage
else:
    PartialImage = partial(FoundImage, "PartialImage", "The requested `fields` of a hit.")


class FoundImages(BaseModel):
    """A page of images, best first; with a filter alone, those that were tagged last first."""

    images: list[FoundImage | PartialImage]
    found_by: Literal["text", "image", "filters"]
    truncated: bool = Field(
        description="There may be more images than this search lists, which are at most 1,000: add filters."
    )
    tagged: int = Field(description="Number of tagged images.")
    indexed: int | None = Field(
        description="Number of images that could be found. Fewer than `tagged`: the index of images is being filled."
        " Null if it does not answer."
    )
    incomplete: str | None = Field(description="Which images could not be found, and why; null if all could.")
    cursor: str | None = Field(
        description="Pass it to get the next page; null on the last page. Valid for ten minutes after each page."
    )
    hint: str | None = Field(
        description="Of the first page: which tags of the filter no image has, and which ones are probably meant."
    )
