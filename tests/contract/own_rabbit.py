"""A RabbitMQ of a test's own: on the loopback address, with its own folder, Erlang port mapper and node name."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from amqp.exceptions import AMQPError
from kombu import Connection
from kombu.exceptions import OperationalError

from tests.contract.rabbitmq_server import SERVER
from tests.eventually import eventually
from workers.embedded.ports import free_port

USER, PASSWORD, VHOST = "wild", "p@ss/w:rd#1%?&=", "tag/one"  # what a URL must quote
PATIENCE_S = 90
CONTROL = SERVER.with_name("rabbitmqctl")


class OwnRabbit:
    """``url``: for a user with all rights in a virtual host; both, and the password, have special characters."""

    def __init__(self, tls: tuple[Path, Path, Path] | None = None) -> None:
        """``tls``: files of the authority, the certificate and its key, for a second port (``tls_port``)."""
        self.folder = Path(tempfile.mkdtemp(prefix="wt-", dir="/tmp"))
        self.port, self.tls_port, epmd, distribution = (free_port(0, claim=True) for _ in range(4))
        self.url = self.url_of(PASSWORD)
        lines = [f"listeners.tcp.1 = 127.0.0.1:{self.port}", "disk_free_limit.absolute = 1MB"]
        if tls is not None:
            names = ("cacertfile", "certfile", "keyfile")
            lines += [f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}", "ssl_options.verify = verify_none"]
            lines += [f"ssl_options.{name} = {file}" for name, file in zip(names, tls, strict=True)]
        (self.folder / "rabbitmq.conf").write_text("\n".join([*lines, ""]))
        (self.folder / "plugins").write_text("[].\n")
        self._environment = {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(epmd), "RABBITMQ_NODENAME": f"wt{epmd}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution), "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"), "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false",
        }  # fmt: skip
        self._epmd = subprocess.Popen(
            ["epmd", "-address", "127.0.0.1", "-port", str(epmd)], env=self._environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._server: subprocess.Popen[bytes] | None = None
        self._vhosts = 0

    def url_of(self, password: str, vhost: str = VHOST) -> str:
        """The URL with this password and virtual host."""
        return f"amqp://{USER}:{quote(password, safe='')}@127.0.0.1:{self.port}/{quote(vhost, safe='')}"

    def own_url(self) -> str:
        """The URL of a new virtual host."""
        self._vhosts += 1
        name = f"{VHOST}/{self._vhosts}"
        self._make_vhost(name)
        return self.url_of(PASSWORD, name)

    def start(self) -> None:
        """Start it, wait until it takes connections, and make the user and the virtual host at the first start."""
        with (self.folder / "out.log").open("ab") as out:
            self._server = subprocess.Popen(
                [SERVER], env=self._environment, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        eventually(lambda: self._takes(f"amqp://guest:guest@127.0.0.1:{self.port}//"), PATIENCE_S, self.said)
        if not self._takes(self.url):
            self.control("add_user", USER, PASSWORD)
            self._make_vhost(VHOST)

    def control(self, *arguments: str) -> str:
        """Run ``rabbitmqctl``. It takes two seconds of a core."""
        done = subprocess.run(
            [CONTROL, "--quiet", *arguments], env=self._environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def full(self, full: bool) -> None:
        """Raise the alarm of memory, or end it."""
        self.control("set_vm_memory_high_watermark", "0.00001" if full else "0.4")

    def kill(self) -> None:
        """End it without a farewell.

        RabbitMQ 3 stores some seconds late that a queue was made. A queue without that has no leader after a restart,
        until somebody deletes it; so this is stored first.
        """
        self.control("eval", "[dets:sync(Table) || Table <- dets:all()].")
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Have it answer nothing any more."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End it and forget what it held."""
        self._end(signal.SIGKILL)
        self._epmd.kill()
        self._epmd.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def said(self) -> str:
        """What it has printed."""
        return (self.folder / "out.log").read_text(errors="replace")[-3000:]

    def _make_vhost(self, name: str) -> None:
        self.control("add_vhost", name)
        self.control("set_permissions", "-p", name, USER, ".*", ".*", ".*")

    def _takes(self, url: str) -> bool:
        try:
            with Connection(url, connect_timeout=2) as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=3)
        except (OperationalError, AMQPError, OSError):
            return False
        return True

    def _signal(self, number: int) -> None:
        if self._server is not None:  # the script, and the processes of Erlang below it
            os.killpg(self._server.pid, number)

    def _end(self, number: int) -> None:
        if self._server is not None:
            self._signal(number)
            self._signal(signal.SIGCONT)
            self._server.wait(30)
            self._server = None


def vhost_of(url: str) -> str:
    """The virtual host in a URL."""
    return unquote(urlsplit(url).path.removeprefix("/"))
