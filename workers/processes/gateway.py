"""The process of the gateway."""

from __future__ import annotations

import structlog

from workers.gateway.app import create_app
from workers.gateway.serving import serve
from workers.processes.logs import configure
from workers.settings.settings import Settings
from workers.wiring.gateway import options, services
from workers.wiring.wiring import Wiring

log = structlog.get_logger()


def run_gateway(settings: Settings) -> None:
    """Take in images and events over HTTP, and say what became of them."""
    configure()
    wiring = Wiring(settings)
    chosen = options(wiring)
    host, port = settings.gateway_host, settings.gateway_port
    log.info("gateway", host=host, port=port, bucket=settings.bucket, open=chosen.open)
    serve(create_app(services(wiring), chosen), host, port)
