"""A real Caddy with the configuration of the documentation."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.nginx import PAGE
from tests.eventually import eventually

MISSING = "The reverse proxy was NOT tested: Caddy is missing (apt-get install caddy)."
# no certificate is fetched, and no port but that of the site is opened
_GLOBAL = (
    "{{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system {folder}\n\tskip_install_trust\n}}\n"
)


def program() -> str | None:
    """Where Caddy is."""
    return shutil.which("caddy", path="/usr/sbin:/usr/bin:/usr/local/bin")


@contextmanager
def running(folder: Path, port: int, gateway: int, flower: int) -> Iterator[None]:
    """Run it inside of the block. ``folder``: has the certificate that nginx has, too (``both.pem``)."""
    found = re.search(r"```caddy\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    site = found[1]
    for documented, here in {
        "host.example {": f"https://127.0.0.1:{port} {{\n\ttls {folder}/both.pem {folder}/both.pem",
        "127.0.0.1:8080": f"127.0.0.1:{gateway}", "127.0.0.1:5555": f"127.0.0.1:{flower}",
    }.items():  # fmt: skip
        assert documented in site, documented
        site = site.replace(documented, here)
    (folder / "Caddyfile").write_text(_GLOBAL.format(folder=folder) + site)
    caddy = program()
    assert caddy is not None
    command = [caddy, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    log = folder / "caddy.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env={"HOME": str(folder), "PATH": "/usr/bin:/bin"}
        )
    try:
        eventually(lambda: _listens(port), 20, log.read_text)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
