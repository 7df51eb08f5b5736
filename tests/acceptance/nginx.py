"""A real nginx with the configuration of the documentation, and further servers of it."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.stack import ROOT
from tests.contract.certificates import certified
from tests.eventually import eventually
from workers.embedded.ports import free_port

MISSING = "The reverse proxy was NOT tested: nginx is missing (apt-get install nginx)."
PAGE = ROOT / "docs" / "how-to" / "reverse-proxy.md"


def program() -> str | None:
    """Where nginx is."""
    return shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


def documented() -> str:
    """The configuration in the documentation."""
    found = re.search(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    return found[1]


class Nginx:
    """``trusted``: the certificate of its servers, which ``tls`` verifies. ``port``: of the documented one."""

    def __init__(self, folder: Path, gateway: int, flower: int, more: str = "") -> None:
        """``gateway``, ``flower``: the ports behind it. ``more``: further servers."""
        self.trusted, _ = certified(folder)
        self.tls = ssl.create_default_context(cafile=self.trusted)
        self.port = free_port(0)
        self._folder = folder
        server = documented()
        for documented_, here in {
            "listen 443": f"listen 127.0.0.1:{self.port}", "/etc/ssl/host.example.pem": f"{folder}/both.pem",
            "/etc/ssl/host.example.key": f"{folder}/both.pem", "127.0.0.1:8080": f"127.0.0.1:{gateway}",
            "127.0.0.1:5555": f"127.0.0.1:{flower}",
        }.items():  # fmt: skip
            assert documented_ in server, documented_
            server = server.replace(documented_, here)
        paths = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{paths}{server}\n{more}\n}}\n"
        )

    @contextmanager
    def running(self) -> Iterator[Nginx]:
        """Run it inside of the block."""
        found = program()
        assert found is not None
        arguments = [found, "-c", str(self._folder / "nginx.conf"), "-e", str(self._folder / "error.log")]
        process = subprocess.Popen([*arguments, "-p", str(self._folder)])
        try:
            eventually(self._listens, 20, (self._folder / "error.log").read_text)
            yield self
        finally:
            process.terminate()
            process.wait(10)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True
