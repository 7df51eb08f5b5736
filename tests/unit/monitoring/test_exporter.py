"""A process serves its metrics at one path, and says in one line why it cannot."""

from __future__ import annotations

import http.client
import os
import platform
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from vectordb.errors import Permanent
from workers.monitoring.catalogue import STAGE_BUSY
from workers.monitoring.exporter import serve
from workers.monitoring.meter import Meter


def got(port: int, path: str = "/metrics", host: str = "127.0.0.1") -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_it_serves_what_is_counted_at_one_path(meter: Meter, folder: Path) -> None:
    meter.count(STAGE_BUSY, 2, "scoring")
    server = serve(folder, "127.0.0.1", 0)
    try:
        status, text = got(server.server_port)
        assert status == 200
        assert 'wildtag_stage_busy_seconds_total{stage="scoring"} 2.0' in text
        assert f'wildtag_build_info{{python="{platform.python_version()}",version="' in text
        assert got(server.server_port, "/")[0] == 404
    finally:
        server.shutdown()
        server.server_close()


def test_a_process_that_counts_nothing_says_what_it_is() -> None:
    server = serve(None, "127.0.0.1", 0)
    try:
        assert "wildtag_build_info" in got(server.server_port)[1]
    finally:
        server.shutdown()
        server.server_close()


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Permanent, match=f"WILDTAG_METRICS_PORT: port {port} of 127.0.0.1 is in use"):
            serve(None, "127.0.0.1", port)
    with pytest.raises(Permanent, match=r"cannot listen on port 1 of no-host\.invalid"):
        serve(None, "no-host.invalid", 1)


SERVING = """
import os, sys, time
from workers.monitoring.exporter import serve
port = serve(None, "127.0.0.1", 0).server_port
if not os.fork():
    time.sleep(60)
print(port, flush=True)
time.sleep(60)
"""


def test_the_port_is_free_when_only_a_child_is_left() -> None:
    with subprocess.Popen([sys.executable, "-c", SERVING], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        assert got(port)[0] == 200
        process.kill()
        process.wait()
        try:
            serve(None, "127.0.0.1", port).server_close()
        finally:
            os.killpg(process.pid, signal.SIGKILL)
