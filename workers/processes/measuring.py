"""Begins to count in a process, and serves what it counts, or leaves that to the gateway of the embedded stack."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from workers.monitoring.meter import METER
from workers.monitoring.metrics_folder import MetricsFolder
from workers.settings.settings import Settings
from workers.supervision.home import read_stack
from workers.supervision.os_processes import MARK
from workers.supervision.temporary import temporary_folder

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

log = structlog.get_logger()


def shared_folder(home: Path) -> MetricsFolder:
    """Where all processes of the embedded stack of this home count. The gateway reads it."""
    return MetricsFolder(home / "run" / "metrics")


def measure_process(settings: Settings) -> None:
    """Count in this process, if somebody will read it. Call it early, and before a fork. Again it does nothing.

    Raises ``Permanent`` if its metrics cannot be served on the port of the settings.
    """
    if METER.active:  # a process that waited for an encoder, or changes it in place, begins again
        return
    if _of_stack(settings):
        _begin(shared_folder(settings.home).path)
    elif settings.metrics_port is not None:
        from workers.monitoring.exporter import serve  # noqa: PLC0415 -- a web server, for some only

        folder = _own_folder()
        serve(folder, settings.metrics_host, settings.metrics_port)
        _begin(folder)
        log.info("metrics", host=settings.metrics_host, port=settings.metrics_port)


def measure_gateway(settings: Settings) -> None:
    """Count in the gateway, which serves what is in the folder: of the whole embedded stack, or its own."""
    _begin(shared_folder(settings.home).path if _of_stack(settings) else _own_folder())


def serve_gateway_metrics(settings: Settings, registry: CollectorRegistry, *, open_: bool) -> None:
    """Serve the gateway's metrics on a port of their own, if there is one. ``open_``: requests need no key.

    Raises ``Permanent`` if it cannot listen there.
    """
    host, port = settings.metrics_host, settings.gateway_metrics_port
    if port is None:
        if not open_ and (settings.root_path or settings.trusted_proxies) and settings.key_required is None:
            log.info("scrapes of /metrics need a key", instead="WILDTAG_GATEWAY_METRICS_PORT serves them without one")
        return
    from workers.monitoring.exporter import serve_registry  # noqa: PLC0415 -- a web server, for some only

    serve_registry(registry, host, port, "WILDTAG_GATEWAY_METRICS_PORT")
    log.info("metrics", host=host, port=port)


def _of_stack(settings: Settings) -> bool:
    """Whether the gateway of an embedded stack reads what this process counts."""
    return MARK in os.environ or (settings.metrics_port is None and read_stack(settings.home) is not None)


def _own_folder() -> Path | None:
    try:
        return temporary_folder("metrics")
    except OSError as exc:  # a full disk, for one: the process is of use without
        log.warning("nothing is counted", reason=str(exc))
        return None


def _begin(folder: Path | None) -> None:
    if folder is not None:
        MetricsFolder(folder).tidy()  # its predecessor's file, if nobody reads them
        METER.begin(folder)
