"""Runs the gateway: one process, one event loop."""

from __future__ import annotations

import ipaddress

import structlog
import uvicorn

from vectordb.errors import Permanent
from workers.connection import connect_async
from workers.gateway.app import create_app
from workers.gateway.mailbox import Mailbox
from workers.layout import Keys
from workers.settings import Settings

log = structlog.get_logger()

# seconds; senders written in Go keep an idle connection for 90: closing first would meet a request on its way
KEEP_ALIVE = 120


def serve(settings: Settings) -> None:
    """Listen until told to stop. Raises ``Permanent`` for an address that is open to others without a token."""
    host, token = settings.gateway_host, settings.webhook_token
    if token is None and not _loopback(host):
        raise Permanent(
            f"{host} can be reached from other machines, and anybody could tell of events: "
            "set WILDTAG_WEBHOOK_TOKEN, or listen on 127.0.0.1"
        )
    log.info("gateway", host=host, port=settings.gateway_port, bucket=settings.bucket, token=token is not None)
    mailbox = Mailbox(connect_async(settings.redis_url), Keys(settings.key_prefix))
    uvicorn.run(
        create_app(mailbox, bucket=settings.bucket, token=token), host=host, port=settings.gateway_port,
        # httptools: a third less CPU an event than h11; uvloop saves a tenth more, which nobody needs here
        http="httptools", loop="asyncio", access_log=False, log_config=None, server_header=False, lifespan="on",
        timeout_keep_alive=KEEP_ALIVE, timeout_graceful_shutdown=5,
    )  # fmt: skip


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
