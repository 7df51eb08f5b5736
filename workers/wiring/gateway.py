"""The composition root of the gateway."""

from __future__ import annotations

import tempfile
from pathlib import Path

from vectordb.errors import Permanent
from vectordb.index import CaptionIndex
from workers.captions.remote_index import RemoteEncoder, RemoteIndex
from workers.dispatch.object_batches import Batches
from workers.gateway.access import BELIEVED_S
from workers.gateway.addresses import loopback
from workers.gateway.batching_writer import BatchingWriter
from workers.gateway.free_space import FreeSpace
from workers.gateway.home_key import read_home_key
from workers.gateway.idempotency import Idempotency
from workers.gateway.rate_limits import Rates
from workers.gateway.services import Options, Services
from workers.gateway.sessions import Sessions
from workers.gateway.upload_slots import UploadSlots
from workers.images.kept_lists import KeptLists
from workers.monitoring.measured import measured_index
from workers.redis.connection import connect_async
from workers.redis.rpc import RpcClient
from workers.redis.server_paths import data_folder
from workers.settings.settings import Settings
from workers.wiring.caption_service import CaptionService
from workers.wiring.following import CurrentWiring, following
from workers.wiring.operations import (
    COVERAGE_S,
    archive,
    coverage,
    duplicate_finder,
    finder,
    images_standing,
    losses,
    spellings,
    teacher,
)
from workers.wiring.wiring import Wiring

PING_S = 15.0  # maximum seconds between two signs of life of an event stream
PATIENCE_S = 20.0  # for a response of a worker, because an HTTP client waits for it


def services(wiring: Wiring) -> Services:
    """The adapters of the gateway."""
    s = wiring.settings
    progress = wiring.progress
    rpc = RpcClient(wiring.publisher, wiring.redis, wiring.keys, PATIENCE_S)
    current = CurrentWiring(wiring)
    found = following(current, coverage)
    counted = following(current, lambda now: caption_service(now, COVERAGE_S))
    return Services(
        batching_writer=BatchingWriter(
            connect_async(s.redis_url, s.key_prefix), wiring.keys,
            wiring.inbox.append if wiring.partitioned else None, wiring.inbox_room,
        ),
        records=wiring.records, progress=progress, forget=wiring.ledger.remove,
        kept_lists=KeptLists(wiring.redis, wiring.keys), inbox=wiring.inbox, store=wiring.store, health=wiring.health,
        models_in_use=wiring.models_in_use,
        sources=wiring.sources, event_sink=wiring.event_sink, keys=wiring.api_keys,
        sessions=Sessions(wiring.redis, wiring.keys, wiring.clock),
        idempotency=Idempotency(wiring.redis, wiring.keys),
        upload_slots=UploadSlots(wiring.redis, wiring.keys, wiring.clock),
        batches=Batches(
            wiring.redis, wiring.keys, progress, wiring.store, wiring.low_priority_inbox, s.bucket,
            wiring.object_filter.key, wiring.clock, wiring.batch_objects,
        ),
        captions=following(current, caption_service),
        finder=following(current, lambda now: finder(now, rpc, found)),
        dead_letters=wiring.dead_letters,
        receivers=wiring.receivers,
        segmentation_requests=wiring.segmentation_requests,
        statements=wiring.statements,
        teacher=teacher(wiring, rpc),
        duplicates=following(current, lambda now: duplicate_finder(now, rpc)),
        outages=wiring.outages,
        depths=wiring.depths,
        ledger_reader=wiring.ledger_reader,
        inbox_readers=wiring.inbox_readers,
        redis_servers=wiring.redis_servers,
        captions_in_use=counted.in_use,
        holds=wiring.holds,
        data_loss=wiring.data_loss,
        losses=losses(wiring),
        refill=wiring.refill,
        images_standing=images_standing(wiring),
        coverage=found,
        spellings=spellings(wiring, unrecorded=True, names=False),
        ignored_by=wiring.object_filter.ignored_by,
        decoders=wiring.decoders,
        free_space=free_space(s),
        drain=wiring.drain,
        clock=wiring.clock,
    )  # fmt: skip


def free_space(s: Settings) -> FreeSpace:
    """Looks at the folders that uploads and the processes beside the gateway need."""
    folders = {"home": s.home, "temporary files": Path(tempfile.gettempdir())}
    if s.s3_endpoint is None:
        folders = {"uploads": s.output_folder or s.inbox_folder, **folders, "Redis": data_folder(s.home)}
        return FreeSpace(folders, frozenset(folders))
    return FreeSpace(folders)  # in a container most is read-only on purpose


def rates(s: Settings) -> Rates:
    """The limits of the settings on the rate of requests."""
    return Rates(s.request_rate, s.upload_rate, s.expensive_rate, s.guesses_per_minute)


def caption_service(wiring: Wiring, patience_s: float = PATIENCE_S) -> CaptionService:
    """Teaches and searches the captions in use: the retrieval worker's, or a Qdrant server's."""
    rpc = RpcClient(wiring.publisher, wiring.redis, wiring.keys, patience_s)

    def open_index(version: str) -> CaptionIndex:
        if wiring.owned:
            return RemoteIndex(rpc, version, wiring.space.dimension)
        return measured_index(wiring.library.open(wiring.space.id, version), "captions")

    return CaptionService(
        RemoteEncoder(rpc, wiring.space),
        lambda: wiring.chosen(),  # noqa: PLW0108 -- opens the captions
        open_index,
        archive(wiring, rpc, patience_s),
    )


def options(wiring: Wiring) -> Options:
    """The options of the gateway. Raises ``Permanent`` if other machines could reach it without an API key."""
    s = wiring.settings
    here = loopback(s.gateway_host)
    proxied = bool(s.root_path or s.trusted_proxies)
    needed = (not here or proxied) if s.key_required is None else s.key_required
    admin_keys = [key for key in (*s.admin_keys, read_home_key(s.home)) if key is not None]
    if not here and not needed:
        raise Permanent(
            f"{s.gateway_host} can be reached from other machines, but WILDTAG_KEY_REQUIRED is false: listen on"
            " 127.0.0.1, or require API keys"
        )
    # the key of the home administers what runs here; it is not for other machines
    if needed and s.admin_key is None and not (here and admin_keys) and not wiring.api_keys.list():
        why = "requests must present an API key" if here else f"{s.gateway_host} can be reached from other machines"
        otherwise = "" if here else ", or listen on 127.0.0.1"
        raise Permanent(
            f"{why}, but there is no API key: set WILDTAG_ADMIN_KEY, or create a key with `wildtag keys create`"
            f"{otherwise}"
        )
    if not here and s.webhook_token is None:
        raise Permanent(
            f"{s.gateway_host} can be reached from other machines, and anyone could send events: set"
            " WILDTAG_WEBHOOK_TOKEN, or listen on 127.0.0.1"
        )
    wide = [origin for origin in s.cors_origins if origin.lower() in {"*", "null"}]
    if wide and not needed:
        raise Permanent(
            f"WILDTAG_CORS_ORIGINS has {wide[0]}, but the gateway asks for no API key: every site that you visit"
            " could use it. Name the origins, or set WILDTAG_KEY_REQUIRED=true"
        )
    # half, because the first message after that may be as late again
    recheck_s = (s.recheck_access_s - BELIEVED_S) / 2
    return Options(
        bucket=s.bucket, tokens=s.webhook_tokens, open=not needed, admin_keys=admin_keys,
        upload_prefix=s.upload_prefix,
        recheck_s=recheck_s, ping_s=min(PING_S, recheck_s),
        max_object_bytes=s.max_object_bytes, max_pixels=s.max_pixels, video=s.video, backlog_max=s.backlog_max,
        uploads_max=s.uploads_max, streams_max=s.streams_max, rates=rates(s), cors_origins=s.cors_origins,
        flower=s.flower_url, segmentation_methods=s.segmentation_methods, root_path=s.root_path or "",
        trusted_proxies=s.trusted_proxies, access_log=s.access_log,
    )  # fmt: skip
