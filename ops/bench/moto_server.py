"""An S3 server for benchmarks, chaos runs and tests: moto, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from vectordb.errors import Permanent
from vectordb.proxies import DIRECT

PATIENCE_S = 60.0
# on a free port, which it prints: moto_server itself would have to be given one
_MOTO = """
from werkzeug.serving import make_server
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextmanager
def moto() -> Iterator[str]:
    """Its address, once it answers. Raises ``Permanent`` if it does not."""
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    with subprocess.Popen(
        [sys.executable, "-P", "-c", _MOTO], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=environment,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None  # noqa: S101 -- it is a pipe
            url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
            until = time.monotonic() + PATIENCE_S
            while not _answers(url):
                if time.monotonic() > until:
                    raise Permanent(f"moto does not answer at {url}")
                time.sleep(0.05)
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _answers(url: str) -> bool:
    with suppress(OSError):
        DIRECT.open(f"{url}/moto-api/", timeout=5).close()
        return True
    return False
