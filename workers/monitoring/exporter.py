"""Serves the metrics of this process and of those that it forked, for a Prometheus that scrapes each process.

It runs in a thread of the main process, so it answers while a child computes.
"""

from __future__ import annotations

import errno
import os
import platform
import socket
import threading
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.registry import Collector

from vectordb.errors import Permanent
from workers.monitoring.catalogue import BUILD_INFO
from workers.monitoring.families import family
from workers.monitoring.metrics_folder import MetricsFolder

PATIENCE_S = 10.0  # for the request of a client that has connected
PATH = "/metrics"


class ProcessMetrics(Collector):
    """What processes count in a folder, for a registry of prometheus_client."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else MetricsFolder(folder)

    def describe(self) -> Iterable[Any]:
        """Nothing: it would be read when it is registered."""
        return ()

    def collect(self) -> Iterable[Any]:
        """Raises ``FolderBusy``."""
        yield family(BUILD_INFO, [((version("wildtag"), platform.python_version()), 1)])
        if self._folder is not None:
            yield from self._folder.collect()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name in the library
        """Not logged: a scrape comes every few seconds."""


def serve(folder: Path | None, host: str, port: int) -> _Server:
    """Serve what is counted in a folder until this process ends. Raises ``Permanent`` if it cannot listen there."""
    registry = CollectorRegistry()
    registry.register(ProcessMetrics(folder))
    return serve_registry(registry, host, port, "WILDTAG_METRICS_PORT")


def serve_registry(registry: CollectorRegistry, host: str, port: int, setting: str) -> _Server:
    """The same with any metrics. ``setting``: which one has the port, for errors."""
    metrics: Any = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == PATH:
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [f"metrics are at {PATH}\n".encode()]

    try:
        server = make_server(host, port, app, _Server6 if ":" in host else _Server, _Handler)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise Permanent(
                f"{setting}: port {port} of {host} is in use: give each process on a machine another port"
            ) from exc
        raise Permanent(f"{setting}: cannot listen on port {port} of {host}: {exc.strerror or exc}") from exc
    os.register_at_fork(after_in_child=server.socket.close)  # else the port stays in use when only a child is left
    threading.Thread(target=server.serve_forever, daemon=True, name="metrics").start()
    return server
