"""The private Redis of the embedded stack: its configuration and its URL.

It listens only on a unix socket, in a folder that only its owner can enter. It also requires a random password, which
is stored in its configuration file (mode 600) and is on no command line. It is broker and record store in one, so it
keeps everything in an append-only file and evicts nothing.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from vectordb.errors import Permanent
from workers.embedded.aof_repair import repair
from workers.redis.server_paths import data_folder, socket_folder
from workers.redis.server_program import ServerProgram, choose_server, note
from workers.supervision.supervisor import Service

_SETTINGS = """\
port 0
unixsocket {socket}
unixsocketperm 700
requirepass {password}
dir {folder}
daemonize no
logfile {log}
set-proc-title no
appendonly yes
appendfsync everysec
aof-load-truncated yes
auto-aof-rewrite-min-size 16mb
maxmemory-policy noeviction
zset-max-listpack-entries 1024
save ""
"""


class PrivateRedis:
    """The Redis of one home. The constructor writes its configuration, so the home must be locked (``Supervisor``).

    ``url`` is for redis-py, ``broker_url`` for Celery, Kombu and Flower; both contain the password.
    """

    name = "redis"

    def __init__(
        self, home: Path, program: ServerProgram | None = None, lines: Callable[[str], str | None] | None = None
    ) -> None:
        """``lines``: see ``Service``; without it the server writes its log itself."""
        self._lines = lines
        self.folder = data_folder(home)
        self.program = program or choose_server(self.folder).program
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.configuration = self.folder / "redis.conf"
        self._home = home.resolve()
        self.socket = socket_folder(self._home) / "redis.sock"
        log = home.resolve() / "logs" / f"{self.name}.log"  # it opens it for each line, so that it may be rotated
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        password = _password_in(self.configuration) or secrets.token_hex(24)
        _write_private(
            self.configuration,
            _SETTINGS.format(
                socket=self.socket,
                password=password,
                folder=_quoted(self.folder),
                log='""' if lines else _quoted(log),
            ),
        )
        self.url = f"unix://:{password}@{self.socket}?db=0"
        self.broker_url = f"redis+socket://:{password}@{self.socket}"

    def service(self) -> Service:
        """The service for the supervisor. It is ready when it answers, which it does not while it loads its data."""
        return Service(
            self.name,
            (str(self.program.path), str(self.configuration)),
            ready=self._ready,
            ready_timeout=120.0,  # loading a long append-only file
            healthy=self._healthy,
            stop_timeout=4.0,
            lines=self._lines,
            prepare=self._prepare,
        )

    def client(self) -> redis.Redis:
        """A client with a timeout of two seconds and without retries."""
        return redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0))

    def _prepare(self) -> None:
        with suppress(Permanent):  # then the server says so
            socket_folder(self._home)  # without a server, as after a crash, another start may have removed it
        repair(self.folder)

    def _ready(self) -> bool:
        answers = self._healthy()
        if answers:
            note(self.folder, self.program.version)  # from now on it may write files that older servers cannot read
        return answers

    def _healthy(self) -> bool:
        with self.client() as client:
            return bool(client.ping())


def _password_in(configuration: Path) -> str | None:
    """The password of earlier runs, so that running clients keep working."""
    try:
        found = re.search(r"^requirepass ([0-9a-f]{48})$", configuration.read_text(), re.MULTILINE)
    except OSError:
        return None
    return found[1] if found else None


def _quoted(path: Path) -> str:
    """A path quoted for the configuration file of Redis."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _write_private(file: Path, text: str) -> None:
    draft = file.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    draft.replace(file)
