"""Creates the caption storage, and encodes the starter captions at the first start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from tasks.encoders import space_of
from tasks.encoders.protocols import Space, TextEncoder, Thresholds
from vectordb.image_library import ImageLibrary
from vectordb.library import ChangeableLibrary, Manifest
from vectordb.options import IndexOptions
from workers.captions import starter
from workers.captions.thresholds import Deriving
from workers.captions.thresholds_in_force import ThresholdInForce
from workers.captions.versions import chosen
from workers.settings.settings import Settings
from workers.wiring.models import confidence_model, image_encoder, prompts_of, text_encoder_loader
from workers.wiring.thresholds import described

if TYPE_CHECKING:
    from qdrant_client import QdrantClient


def library_of(settings: Settings) -> ChangeableLibrary:
    """The storage of the captions with these settings."""
    s = settings
    options = _options(settings, IndexOptions())
    if s.qdrant_url is None:
        from vectordb.folder import FolderLibrary  # noqa: PLC0415 -- Edge is for one machine, and not in a container

        return FolderLibrary(s.captions_folder, options)
    from vectordb.server_library import ServerLibrary  # noqa: PLC0415 -- loads gRPC

    return ServerLibrary(_client(s), s.captions_folder, options, prefix=s.qdrant_prefix)


def image_library_of(settings: Settings) -> ImageLibrary:
    """The storage of the indexes of images with these settings."""
    s = settings
    if s.qdrant_url is None:
        from vectordb.image_folder import FolderImages  # noqa: PLC0415 -- as above

        return FolderImages(s.images_folder)
    from vectordb.image_collections import ServerImageLibrary  # noqa: PLC0415 -- as above
    from vectordb.image_server import DEFAULT  # noqa: PLC0415 -- as above

    options = replace(DEFAULT, shards=s.shards or 1, replicas=s.replicas or 1)
    return ServerImageLibrary(_client(s), options, prefix=s.qdrant_prefix)


def _options(s: Settings, default: IndexOptions) -> IndexOptions:
    given: dict[str, Any] = {
        "m": s.hnsw_m, "ef_construct": s.hnsw_ef_construct, "ef": s.hnsw_ef, "quantised": s.quantised,
        "oversampling": s.oversampling, "on_disk": s.vectors_on_disk, "shards": s.shards, "replicas": s.replicas,
    }  # fmt: skip
    return replace(default, **{name: value for name, value in given.items() if value is not None})


def _client(s: Settings) -> QdrantClient:
    from vectordb.server_client import connect  # noqa: PLC0415 -- loads gRPC

    return connect(
        s.qdrant_url or "", api_key=s.qdrant_api_key, grpc_port=s.qdrant_grpc_port, timeout_s=s.qdrant_timeout_s,
        ca_file=s.qdrant_ca_file, allow_plaintext=s.qdrant_allow_plaintext,
    )  # fmt: skip


def prepared(settings: Settings) -> bool:
    """Whether there are captions to search. Loads no model."""
    return starter.prepared(library_of(settings), space_of(settings.encoder, settings.runtime).id, settings.captions)


def prepare_captions(settings: Settings, progress: starter.Progress = starter.quiet) -> None:
    """See ``workers.captions.starter.prepare_captions``."""
    space, load = space_of(settings.encoder, settings.runtime), cache(text_encoder_loader(settings))
    starter.prepare_captions(
        library_of(settings), space, load, settings.captions, datetime.now(UTC), progress,
        deriving(settings, space, load) or starter.none,
    )  # fmt: skip


def deriving(settings: Settings, space: Space, load: Callable[[], TextEncoder]) -> Deriving | None:
    """What derives the thresholds of captions; ``None`` for an encoder with measured ones.

    ``load`` gives the text encoder.
    """
    if space.thresholds != Thresholds():
        return None
    image = partial(image_encoder, settings)
    return Deriving(space.id, load, image, prompts_of(settings), settings.retrieval_limit)


def thresholds_in_force(
    settings: Settings, space: Space | None = None, manifest: Manifest | None = None
) -> list[ThresholdInForce]:
    """The thresholds in force for a caption version, by default the one in use. Loads no model."""
    space = space or space_of(settings.encoder, settings.runtime)
    if manifest is None:
        library = library_of(settings)
        manifest = library.find(space.id, chosen(library, space.id, settings.captions))
    return described(settings, space, confidence_model(settings, space.id), manifest, prompts_of(settings))
