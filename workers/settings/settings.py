"""Every setting, in one frozen object, read from ``WILDTAG_*`` at an entry point and handed down."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, PositiveInt, ValidationInfo, field_validator

from vectordb.server_addresses import BadAddress, addresses
from workers.settings.segmentation import Ports, SegmentSettings, Words
from workers.settings.webhook_secrets import secrets_of

STAGES = ("embedding", "retrieval", "extraction", "scoring")
SEGMENTATION = "segmentation"  # of objects that are to be segmented, after the stages that all go through
INGESTION = "ingestion"  # captions to be encoded for an import
QUEUES = (*STAGES, SEGMENTATION, INGESTION)


def _default_home() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "wildtag"


class Settings(SegmentSettings):
    """What can be chosen. Times are in seconds unless the name says otherwise."""

    home: Path = Field(default_factory=_default_home, description="where the embedded stack keeps everything")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="records, ledger and inbox")
    broker_url: str | None = Field(None, description="Celery's broker; the same Redis when not given")
    key_prefix: str = Field("wildtag:", description="before every Redis key")

    bucket: str = Field("inbox", pattern=r"^[a-z0-9][a-z0-9.-]{1,62}$", description="the bucket to follow")
    inbox: Path | None = Field(None, description="the folder that is the bucket; home/inbox when not given")
    follow_prefixes: Words = Field((), description="only keys that begin with one of these, separated by commas")
    follow_suffixes: Words = Field((), description="only keys that end in one of these, as .jpg,.png")
    follow_types: Words = Field((), description="only these content types, as image/*, where the store knows them")
    ignore_prefixes: Words = Field((), description="no keys that begin with one of these")
    ignore_suffixes: Words = Field((), description="no keys that end in one of these")
    ignore_types: Words = Field((), description="none of these content types, as image/svg+xml")
    output_prefix: str = Field(".wildtag/", min_length=1, description="of what wildtag writes; never followed")
    write_back: Literal["off", "tags", "sidecar"] = Field(
        "off", description="tags: the best as S3 object tags; sidecar: a JSON file for every image"
    )
    s3_endpoint: str | None = Field(
        None, description="an S3 server that has the bucket, as http://minio:9000; else a folder is the bucket"
    )
    s3_public_endpoint: str | None = Field(
        None, description="where others reach that server: addresses that are handed out point there"
    )
    s3_region: str = Field("us-east-1", pattern=r"^[A-Za-z0-9_-]{1,63}$", description="of the bucket")
    s3_access_key: str | None = Field(None, description="the name of the key pair")
    s3_secret_key: str | None = Field(None, repr=False, description="its secret")
    s3_credentials_file: Path | None = Field(
        None, description="has both, as ~/.aws/credentials or two lines; or only the secret of s3_access_key"
    )
    s3_iam: bool = Field(default=False, description="where no key pair is given, ask the cloud for one")
    s3_ca_file: Path | None = Field(None, description="certificates that an https address is checked against")
    listen: bool = Field(
        default=True, description="listen to the bucket on a server over MinIO's listen API, beside other sources"
    )
    max_object_bytes: PositiveInt = Field(64 * 2**20, description="larger objects are refused")
    max_pixels: PositiveInt = Field(
        150_000_000, le=178_956_970, description="larger images are refused undecoded; Pillow's own limit at most"
    )
    settle_ms: PositiveInt = Field(250, description="a file is read once its size rested for so long")
    rescan_s: PositiveFloat = Field(60.0, description="how often the bucket is compared with the records")
    reconcile_rate: float | None = Field(
        None, ge=0.1, description="objects a second at the most that it looks at then; no limit when not given"
    )

    gateway_host: str = Field("127.0.0.1", description="the address that the gateway listens on")
    gateway_port: int = Field(8080, ge=1, le=65535, description="its port")
    api_key: str | None = Field(
        None, pattern=r"^[!-~]+$", repr=False, description="what `wildtag upload` shows a gateway"
    )
    webhook_token: str | None = Field(
        None, min_length=8, pattern=r"^[!-~]+$", repr=False, description="what senders of events must show (Bearer)"
    )
    admin_key: str | None = Field(
        None, min_length=16, pattern=r"^[!-~]+$", repr=False, description="an API key that allows everything"
    )
    key_required: bool | None = Field(
        None, description="whether the gateway asks for an API key; when not given, not on the loopback address"
    )
    upload_prefix: str = Field(
        "uploads/", pattern=r"^[^/.].*/$", description="of what comes in by the gateway; followed whatever else is"
    )
    uploads_max: PositiveInt = Field(32, description="uploads that may come in at once")
    streams_max: PositiveInt = Field(500, description="event streams that may be open at once")
    request_rate: PositiveFloat | None = Field(
        None, description="requests a second and API key; any number when not given"
    )
    backlog_max: PositiveInt = Field(10_000, description="objects that may wait before uploads are refused (503)")
    cors_origins: Words = Field((), description="whose pages may call the gateway, as https://example.org")
    flower_url: str | None = Field(None, description="where people reach Flower: the page links there")
    notify_url: str | None = Field(
        None, repr=False, description="where every finished object is POSTed to; a path often is a secret"
    )
    notify_secret: str | None = Field(
        None, repr=False, validate_default=True,
        description="signs it, whsec_ and base64; both of two, with a comma between, while receivers change over",
    )  # fmt: skip
    notify_ca_file: Path | None = Field(None, description="certificates that an https address is checked against")
    notify_timeout_s: PositiveFloat = Field(15.0, le=300, description="for one attempt, from its start to its end")
    notify_attempts: PositiveInt = Field(10, description="failures after which a delivery is dead: 10 take 22 hours")
    notify_at_once: PositiveInt = Field(8, le=100, description="attempts side by side")
    redis_target_url: str | None = Field(None, description="the Redis that MinIO fills; the same when not given")
    redis_target_key: str = Field("minio-events", min_length=1, description="the key that MinIO fills there")
    redis_target_every_s: PositiveFloat = Field(5.0, description="how often the hash of the format namespace is read")
    redis_target_format: Literal["access", "namespace"] = Field(
        "access", description="as MinIO was told: a list of events, or a hash of objects"
    )

    encoder: str = Field("bundled", description="bundled, or a CLIP or SigLIP model: hub name or folder")
    quality: Literal["default", "best"] = Field("default", description="best: the bundled encoder looks twice")
    captions: str | None = Field(
        None, description="the caption database to search: NAME or NAME@VERSION; the one in use when not given"
    )
    qdrant_url: str | None = Field(
        None,
        description="a Qdrant server that keeps the captions, as http://localhost:6333, or the nodes of one cluster,"
        " separated by commas; else folders here do",
    )
    qdrant_api_key: str | None = Field(None, repr=False, description="what the server wants to be shown")
    qdrant_allow_plaintext: bool = Field(
        default=False, description="send the Qdrant API key over http without a warning, in a private network"
    )
    qdrant_grpc_port: Ports = Field(
        (6334,), min_length=1, description="one for all addresses, or one for each; 0: everything goes by REST"
    )
    qdrant_ca_file: Path | None = Field(None, description="certificates that an https address is checked against")
    qdrant_timeout_s: PositiveFloat = Field(20.0, description="for one answer of the server")
    qdrant_prefix: str = Field("wildtag-", description="before the names of collections")
    copy_from_api_key: str | None = Field(
        None, repr=False, description="what the server that `captions copy --from` names wants to be shown"
    )
    copy_to_api_key: str | None = Field(
        None, repr=False, description="what the server that `captions copy --to` names wants to be shown"
    )
    # of caption indexes that are built; None: by the number of captions
    hnsw_m: PositiveInt | None = Field(None, description="links a caption in the graph")
    hnsw_ef_construct: PositiveInt | None = Field(None, description="candidates while the graph is built")
    hnsw_ef: PositiveInt | None = Field(None, description="candidates while it is searched: more finds more, slower")
    quantised: bool | None = Field(None, description="search over int8 codes, rescored by the vectors")
    oversampling: float | None = Field(None, ge=1, description="how many times the wanted captions are rescored")
    vectors_on_disk: bool | None = Field(None, description="read vectors from disk when they are needed")
    shards: PositiveInt | None = Field(None, description="of a collection on a Qdrant server")
    replicas: PositiveInt | None = Field(None, description="of a shard on a Qdrant server")

    retrieval_limit: PositiveInt = Field(10, description="captions an image (K in the paper)")
    duplicate_similarity: float = Field(0.94, gt=0, le=1, description="captions closer than this are one")
    profile: Literal["phrases", "paper"] = Field("phrases", description="how candidates are extracted")
    alpha: float = Field(0.7, ge=0, le=1, description="weight of the image against the captions")
    tau: PositiveFloat = Field(
        1.0,
        description="temperature: divides the logits; a higher one spreads the scores over more tags",
    )
    prompts: Path | None = Field(
        None, description="a file of prompts, {} for the word: candidates are encoded with all of them (UpperCaSED)"
    )
    max_tags: PositiveInt = Field(5, description="tags an image at the most")
    # None: what was measured for the encoder's space
    min_score: float | None = Field(None, ge=0, le=1, description="tags that score less are dropped")
    synonym_similarity: float | None = Field(None, gt=0, le=1, description="candidates closer than this are one tag")
    unknown_similarity: float | None = Field(
        None, ge=-1, le=1, description="an image whose best caption is farther gets no tags"
    )

    batch_max: PositiveInt = Field(16, description="objects a batch at the most")
    batch_wait_ms: PositiveInt = Field(20, description="how long a batch waits for more objects")
    in_flight_max: PositiveInt = Field(256, description="objects on the queues at once; the rest wait")
    deadline_s: PositiveFloat = Field(60.0, description="an object without progress for so long is sent again")
    max_attempts: PositiveInt = Field(4, description="an object that was begun so often is dead")
    give_up_s: PositiveFloat = Field(86_400.0, description="a transient fault is retried for so long")
    task_time_limit_s: PositiveInt = Field(300, description="a task that takes longer is killed")
    feed_length: PositiveInt = Field(10_000, description="finished objects that the feed remembers")
    cache_days: PositiveInt = Field(30, description="how long an unused word vector is remembered")

    flower_port: int | None = Field(None, ge=1, le=65535, description="5555, or a free one when not given")
    flower_auth: str | None = Field(
        None, repr=False, pattern=r"^[^:,]+:[^,]+$", description="USER:PASSWORD that Flower asks for"
    )
    liveness_folder: Path | None = Field(
        None, description="where a process says in a file that it makes progress, for health checks that read it"
    )
    threads: PositiveInt | None = Field(None, description="threads a model may use; all cores when not given")

    @field_validator(
        "home", "inbox", "prompts", "qdrant_ca_file", "s3_credentials_file", "s3_ca_file", "notify_ca_file"
    )
    @classmethod
    def _expanded(cls, folder: Path | None) -> Path | None:
        return folder.expanduser() if folder else folder

    @field_validator("s3_endpoint", "s3_public_endpoint")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        place = parts.hostname and not parts.path.strip("/") and "@" not in parts.netloc
        if parts.scheme not in {"http", "https"} or not place:
            raise ValueError("is no address of an S3 server; one looks like https://minio.example:9000")
        _ = parts.port  # raises ValueError for what is no port
        return f"{parts.scheme}://{parts.netloc}"

    @field_validator("qdrant_url")
    @classmethod
    def _nodes(cls, urls: str | None) -> str | None:
        if urls is None:
            return None
        try:
            return ",".join(address.url for address in addresses(urls))
        except BadAddress as exc:
            raise ValueError(str(exc)) from None

    @field_validator("qdrant_grpc_port")
    @classmethod
    def _each(cls, ports: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if "qdrant_url" not in info.data:  # it is wrong itself, which is said already
            return ports
        there = (info.data["qdrant_url"] or "").count(",") + 1
        if len(ports) not in {1, there}:
            raise ValueError(f"names {len(ports)} ports, and WILDTAG_QDRANT_URL {there} different addresses")
        return ports

    @field_validator("notify_url")
    @classmethod
    def _receiver(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment:
            raise ValueError("is no address to POST to; one looks like https://example.org/hooks/wildtag")
        _ = parts.port  # raises ValueError for what is no port
        return url

    @field_validator("notify_secret")
    @classmethod
    def _signs(cls, told: str | None, info: ValidationInfo) -> str | None:
        if told is not None:
            secrets_of(told)
        elif info.data.get("notify_url") is not None:
            raise ValueError("is needed where WILDTAG_NOTIFY_URL is: echo whsec_$(openssl rand -base64 32)")
        return told

    @property
    def inbox_folder(self) -> Path:
        """The folder that is the bucket of the embedded stack."""
        return self.inbox or self.home / "inbox"

    @property
    def cache_folder(self) -> Path:
        """What can be computed again: class vectors and the like."""
        return self.home / "cache"

    @property
    def captions_folder(self) -> Path:
        """The caption databases."""
        return self.home / "captions"

    @property
    def broker(self) -> str:
        """Celery's broker URL."""
        return self.broker_url or self.redis_url

    def environment(self) -> dict[str, str]:
        """The ``WILDTAG_*`` variables from which another process builds the same settings."""
        values = self.model_dump(mode="json", exclude_none=True)
        return {
            f"WILDTAG_{name.upper()}": ",".join(map(str, value)) if isinstance(value, list) else str(value)
            for name, value in values.items()
        }

    @classmethod
    def is_secret(cls, variable: str) -> bool:
        """Whether a ``WILDTAG_*`` variable holds what is never to be shown."""
        field = cls.model_fields.get(variable.removeprefix("WILDTAG_").lower())
        return field is not None and not field.repr

    def process_environment(self) -> dict[str, str]:
        """This process's environment with these settings laid over it."""
        return {**os.environ, **self.environment()}
