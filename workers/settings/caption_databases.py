"""The caption databases: which one is searched, the Qdrant server, and how indexes are built."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt, ValidationInfo, field_validator

from vectordb.server_addresses import BadAddress, addresses
from workers.settings.access_urls import require_sendable
from workers.settings.topic import Ports, Topic, UserPath


class CaptionSettings(Topic):
    """Captions and their index."""

    captions: str | None = Field(
        None, description="Caption database to search, as NAME or NAME@VERSION. Default: the active version."
    )
    qdrant_url: str | None = Field(
        None,
        description="URL of the Qdrant server that stores the captions, for example http://localhost:6333, or the"
        " URLs of all nodes of a cluster, separated by commas. Default: none, and folders in the home store them.",
    )
    qdrant_api_key: str | None = Field(None, repr=False, description="API key of the Qdrant server.")
    qdrant_allow_plaintext: bool = Field(
        default=False, description="Send the Qdrant API key over http without a warning, in a private network."
    )
    qdrant_grpc_port: Ports = Field(
        (6334,), min_length=1,
        description="gRPC port of the Qdrant server: one for all nodes, or one for each, separated by commas."
        " 0 disables gRPC; requests then use REST.",
    )  # fmt: skip
    qdrant_ca_file: UserPath | None = Field(
        None, description="CA certificates (PEM) for the Qdrant server. Default: those of the system."
    )
    qdrant_timeout_s: PositiveFloat = Field(
        20.0, description="Timeout of one request to the Qdrant server, in seconds."
    )
    qdrant_prefix: str = Field("wildtag-", description="Prefix of the names of Qdrant collections.")
    copy_from_api_key: str | None = Field(
        None, repr=False, description="API key of the Qdrant server given to `wildtag captions copy --from`."
    )
    copy_to_api_key: str | None = Field(
        None, repr=False, description="API key of the Qdrant server given to `wildtag captions copy --to`."
    )
    # for indexes that are built from now on
    hnsw_m: PositiveInt | None = Field(None, description="Links for each caption in the HNSW graph. Default: 32.")
    hnsw_ef_construct: PositiveInt | None = Field(
        None, description="Candidates considered while the HNSW graph is built. Default: 256."
    )
    hnsw_ef: PositiveInt | None = Field(
        None,
        description="Candidates considered during a search. A larger value finds more and is slower. Default: 256.",
    )
    quantised: bool | None = Field(
        None, description="Search int8 codes and rescore with the vectors. Default: from 20,000 captions on."
    )
    oversampling: float | None = Field(
        None, ge=1, description="Captions rescored for each caption that is wanted. Default: 2."
    )
    vectors_on_disk: bool | None = Field(
        None, description="Read vectors from disk instead of memory. Default: from 20,000 captions on."
    )
    shards: PositiveInt | None = Field(None, description="Shards of a collection on a Qdrant server. Default: 1.")
    replicas: PositiveInt | None = Field(None, description="Replicas of each shard on a Qdrant server. Default: 1.")

    @field_validator("qdrant_api_key", "copy_from_api_key", "copy_to_api_key")
    @classmethod
    def _qdrant_key(cls, key: str | None) -> str | None:
        if key is not None:
            require_sendable(key)
        return key

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
        if "qdrant_url" not in info.data:  # invalid itself, and reported already
            return ports
        there = (info.data["qdrant_url"] or "").count(",") + 1
        if len(ports) not in {1, there}:
            raise ValueError(f"{len(ports)} ports are given for the {there} addresses in WILDTAG_QDRANT_URL")
        return ports
