"""The process of the gateway."""

from __future__ import annotations

import structlog

from vectordb.errors import Transient
from workers.gateway.app import create_app
from workers.gateway.serving import serve, serve_when
from workers.processes.logs import configure
from workers.processes.measuring import measure_gateway, serve_gateway_metrics
from workers.settings.settings import Settings
from workers.wiring.encoder_in_use import in_use
from workers.wiring.gateway import options, services
from workers.wiring.operations import impatient_layout
from workers.wiring.wiring import Wiring

log = structlog.get_logger()


def run_gateway(settings: Settings) -> None:
    """Run the HTTP gateway, which receives images and events and serves results and the page."""
    configure(settings, "gateway")
    measure_gateway(settings)
    wiring = Wiring(in_use(settings))
    chosen = options(wiring)
    host, port = settings.gateway_host, settings.gateway_port
    log.info("gateway", host=host, port=port, bucket=settings.bucket, open=chosen.open)
    app = create_app(services(wiring), chosen)
    serve_gateway_metrics(settings, app.state.metrics, open_=chosen.open)
    layout = impatient_layout(wiring)
    try:
        layout.require()
    except Transient:  # the gateway listens anyway, and answers 503
        serve_when(layout.require, app, host, port)
    else:
        serve(app, host, port)
