"""The parts of messages: objects, vectors, captions, candidates and tags. Frozen; unknown fields are rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from tasks.labels.index_form import index_form

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float32]"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a message."""


class UserMetadata(_Part, frozen=True, omit_defaults=True):
    """What its owner wrote beside an object: the name of the file, an id of their own, and texts by name, sorted."""

    file_name: str | None = None
    client_id: str | None = None
    values: tuple[tuple[str, str], ...] = ()


class Origin(_Part, frozen=True, omit_defaults=True, forbid_unknown_fields=False):
    """What led to an object being tagged, in all logs and traces. ``request``: the id of an HTTP request.

    ``trace``: the span in which it was accepted, as a W3C ``traceparent``. Both are empty if there is none. Nothing
    depends on either, so what a newer release adds is ignored.
    """

    request: str = ""
    trace: str = ""


class ObjectRef(_Part, frozen=True, omit_defaults=True):
    """One version of one object in a bucket. ``user_metadata``: known once the object was read; ``None`` for none.

    ``origin``: ``None`` if nothing is known of it.
    """

    bucket: str
    key: str
    etag: str
    size: int | None = None
    version_id: str | None = None
    user_metadata: UserMetadata | None = None
    origin: Origin | None = None

    @property
    def request(self) -> str:
        """The id of the request that led to it; empty without one."""
        return "" if self.origin is None else self.origin.request

    @property
    def id(self) -> str:
        """``bucket/key``: identifies the object in all its versions. Bucket names contain no slash."""
        return f"{self.bucket}/{self.key}"


def place_of(object_id: str) -> tuple[str, str]:
    """Bucket and key of an object id, see ``ObjectRef.id``."""
    bucket, _, key = object_id.partition("/")
    return bucket, key


class Revision(_Part, frozen=True):
    """What a result depends on besides the image: the vector space and the captions version."""

    space_id: str
    captions_version: str


class Vectors(_Part, frozen=True):
    """A float32 matrix of shape (n, dimension) in C order, as bytes."""

    dimension: int
    data: bytes

    @classmethod
    def of(cls, matrix: Floats) -> Vectors:
        """Pack a matrix of shape (n, d)."""
        import numpy as np  # noqa: PLC0415 -- most parts hold no vectors, and most commands need none

        return cls(matrix.shape[1], np.ascontiguousarray(matrix, dtype=np.float32).tobytes())

    def array(self) -> Floats:
        """The matrix, read-only, without a copy. Shape (n, dimension)."""
        import numpy as np  # noqa: PLC0415 -- as above

        return np.frombuffer(self.data, dtype=np.float32).reshape(-1, self.dimension)


class Parsed(_Part, frozen=True):
    """The parsed phrases of a caption, stored at import. ``by``: profile and model, as in the cache keys.

    ``phrases``: (label, whether it is the bare head of a longer one, whether it is the broader term of a definition).
    """

    by: str
    phrases: tuple[tuple[str, bool, bool], ...]


class Hit(_Part, frozen=True):
    """A retrieved caption. ``similarity`` is the cosine to the image's vector."""

    id: int
    caption: str
    similarity: float
    parsed: Parsed | None = None


class MediaWarning(msgspec.Struct, frozen=True):
    """What may be wrong with an image that was read. ``code`` is for machines, ``reason`` for people."""

    code: str
    reason: str


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """The file of an object. ``width`` and ``height``: of the upright image, in pixels. ``bytes``: of the file.

    ``taken_at``: RFC 3339; without a zone if the camera stored none, since its clock shows local time. ``preview``:
    what was tagged is the preview that a camera raw file contains. ``latitude`` and ``longitude``: degrees, only if
    ``media_gps`` is set. ``warnings``: what may be wrong with the image.
    """

    format: str
    width: int
    height: int
    bytes: int
    frames: int = 1
    taken_at: str | None = None
    camera: str | None = None
    preview: bool = False
    latitude: float | None = None
    longitude: float | None = None
    warnings: tuple[MediaWarning, ...] = ()


class Candidate(_Part, frozen=True):
    """A word or phrase found in the retrieved captions; ``evidence`` are positions in the object's hits."""

    label: str
    evidence: tuple[int, ...] = ()


class Background(_Part, frozen=True):
    """The similarities of an image to captions of all kinds: their mean and standard deviation."""

    mean: float
    spread: float


class Floor(_Part, frozen=True):
    """How near a caption must be to be among those that were kept for an image.

    ``rank``: its similarity minus its hubness is above this; ``similarity``: and its similarity above this. See
    ``vectordb.images.ImageEntry``.
    """

    rank: float
    similarity: float


class DerivedThresholds(_Part, frozen=True):
    """Cosine thresholds that were derived for a caption version; ``None`` is off. See ``tasks.thresholds``.

    ``prompts``: digest of the prompts with which words were encoded; empty for the plain word.
    """

    unknown: float | None = None
    evidence: float | None = None
    synonym: float | None = None
    head: float | None = None
    prompts: str = ""


class Likeness(_Part, frozen=True):
    """Why a label was gained or withheld: the image looks like that of the exemplar ``object_id``.

    ``label``: as the person wrote it. ``similarity``: cosine of the two images. ``confidence``: the probability that
    a person says the same of the image.
    """

    label: str
    object_id: str
    similarity: float
    confidence: float


class Judgement(_Part, frozen=True):
    """The labels that an image gains from exemplars, and those that are withheld; the surest first, each once."""

    gained: tuple[Likeness, ...] = ()
    withheld: tuple[Likeness, ...] = ()

    def withholds(self, label: str) -> bool:
        """Whether a tag is withheld, in any spelling."""
        form = index_form(label)
        return any(index_form(one.label) == form for one in self.withheld)


class Tag(_Part, frozen=True):
    """A scored candidate. ``score = alpha * image_score + (1 - alpha) * text_score``.

    ``confidence``: the probability that a person accepts the tag; ``None`` where the space has no model for it.
    ``source``: ``person``: a person said so of this image; ``example``: of one that it looks like, which is
    ``example``. Unset for tags of the method.
    """

    label: str
    score: float
    image_score: float
    text_score: float
    evidence: tuple[int, ...] = ()
    confidence: float | None = None
    source: Literal["person", "example"] | msgspec.UnsetType = msgspec.UNSET
    example: Likeness | msgspec.UnsetType = msgspec.UNSET

    @property
    def strength(self) -> float:
        """The confidence, or the score of a tag without one: what lists are ordered by."""
        return self.score if self.confidence is None else self.confidence


class Unknown(_Part, frozen=True):
    """Why an image has no tags.

    ``code``: ``featureless``: the image shows nothing; ``no-captions``: the caption database is empty;
    ``no-near-caption``: the nearest caption is not similar enough; ``low-score``, ``low-evidence``,
    ``low-confidence``: no candidate reaches the minimum; ``rejected``: people rejected its tags, or exemplars
    withheld them. ``value``: the similarity of the nearest caption, or of the best candidate ``label`` the score, the
    similarity of its best caption, or the confidence. ``least``: the minimum that it misses.
    """

    code: str
    label: str | None = None
    value: float | None = None
    least: float | None = None


class Fault(_Part, frozen=True):
    """Why an object of a batch failed; ``code`` for machines, ``reason`` for people."""

    object: ObjectRef
    code: str
    reason: str
