"""Creates the caption storage, and encodes the starter captions at the first start."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tasks.encoders import space_of
from vectordb.library import ChangeableLibrary
from vectordb.options import IndexOptions
from workers.captions import starter
from workers.settings.settings import Settings
from workers.wiring.models import text_encoder_loader


def library_of(settings: Settings) -> ChangeableLibrary:
    """The storage of the captions with these settings."""
    s = settings
    given: dict[str, Any] = {
        "m": s.hnsw_m, "ef_construct": s.hnsw_ef_construct, "ef": s.hnsw_ef, "quantised": s.quantised,
        "oversampling": s.oversampling, "on_disk": s.vectors_on_disk, "shards": s.shards, "replicas": s.replicas,
    }  # fmt: skip
    options = replace(IndexOptions(), **{name: value for name, value in given.items() if value is not None})
    if s.qdrant_url is None:
        from vectordb.folder import FolderLibrary  # noqa: PLC0415 -- Edge is for one machine, and not in a container

        return FolderLibrary(s.captions_folder, options)
    from vectordb.server_client import connect  # noqa: PLC0415 -- loads gRPC
    from vectordb.server_library import ServerLibrary  # noqa: PLC0415 -- as above

    client = connect(
        s.qdrant_url, api_key=s.qdrant_api_key, grpc_port=s.qdrant_grpc_port, timeout_s=s.qdrant_timeout_s,
        ca_file=s.qdrant_ca_file, allow_plaintext=s.qdrant_allow_plaintext,
    )  # fmt: skip
    return ServerLibrary(client, s.captions_folder, options, prefix=s.qdrant_prefix)


def prepared(settings: Settings) -> bool:
    """Whether there are captions to search. Loads no model."""
    return starter.prepared(library_of(settings), space_of(settings.encoder).id, settings.captions)


def prepare_captions(settings: Settings, progress: starter.Progress = starter.quiet) -> None:
    """See ``workers.captions.starter.prepare_captions``."""
    starter.prepare_captions(
        library_of(settings), space_of(settings.encoder), text_encoder_loader(settings), settings.captions,
        datetime.now(UTC), progress,
    )  # fmt: skip
