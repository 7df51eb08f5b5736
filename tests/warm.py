"""Commands of wildtag without the seconds that importing ONNX Runtime and spaCy costs each of them.

A server process imports the modules once and forks for every command. The command is otherwise run as by
``python -m workers.cli``: with its own environment, current folder, standard streams and exit status. Tests that show
how a command starts (README, tutorial, stacks, what is killed) run it by itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import runpy
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
# not workers.cli: it reads the width of the terminal when it is imported
MODULES = (
    "workers.wiring.wiring", "workers.wiring.models", "onnxruntime", "tokenizers", "spacy.lang.en", "qdrant_client",
    "pyarrow.parquet", "minio", "typer.main", "rich.markdown", "rich.progress", "structlog",
)  # fmt: skip


def wildtag(
    *arguments: str,
    env: Mapping[str, str],
    folder: Path | None = None,
    timeout: float = 180,
    module: str = "workers.cli",
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m MODULE ARGUMENTS`` and capture both outputs, as ``subprocess.run``. It may fail.

    ``folder``: where it runs; the current one when not given. ``timeout``: in seconds; raises
    ``subprocess.TimeoutExpired`` afterwards.
    """
    with tempfile.TemporaryDirectory(prefix="wt-", dir="/tmp") as outputs, socket.socket(socket.AF_UNIX) as server:
        out, err = Path(outputs, "out"), Path(outputs, "err")
        request = {
            "module": module, "arguments": arguments, "environment": dict(env), "folder": str(folder or Path.cwd()),
            "out": str(out), "err": str(err),
        }  # fmt: skip
        server.settimeout(timeout)
        server.connect(_address())
        server.sendall(json.dumps(request).encode() + b"\n")
        try:
            status = int(server.makefile().readline())
        except TimeoutError:
            raise subprocess.TimeoutExpired(arguments, timeout) from None
        return subprocess.CompletedProcess(arguments, status, out.read_text(), err.read_text())


@cache
def _address() -> str:
    """The socket of the server, one for all processes of a test run. It ends with the last of them."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
    folder = Path("/tmp", f"wt-warm-{run}"[:40])  # noqa: S108 - a socket's path must be short
    folder.mkdir(mode=0o700, exist_ok=True)
    address = f"{folder}/commands"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not Path(address).exists():
            server = subprocess.Popen(
                [sys.executable, "-m", "tests.warm", address], cwd=ROOT, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            _held.append(server)
        held = socket.socket(socket.AF_UNIX)
        held.connect(address)
        held.sendall(b"hold\n")
        assert held.recv(1) == b"\n"
        _held.append(held)
    return address


_held: list[object] = []  # open until this process ends


def _serve(address: str) -> None:
    for module in MODULES:
        __import__(module)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(100)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    processes: list[socket.socket] = []  # one connection for each process of the test run
    while True:
        ready, _, _ = select.select([listener, *processes], [], [])
        for held in set(ready) - {listener}:  # it says nothing, so this is its end
            processes.remove(held)
            held.close()
        if listener in ready:
            connection, _ = listener.accept()
            request = connection.makefile().readline()
            if request == "hold\n":
                connection.sendall(b"\n")
                processes.append(connection)
                continue
            if not os.fork():
                for other in (listener, *processes):
                    other.close()
                _handle(connection, request)
            connection.close()
        elif not processes:
            shutil.rmtree(Path(address).parent, ignore_errors=True)
            os.killpg(0, 15)  # with the commands that still run
        _reap()


def _reap() -> None:
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def _handle(connection: socket.socket, request: str) -> None:
    """Fork for the command, wait for it, and answer with its exit status; the negative signal if one ended it."""
    pid = os.fork()
    if not pid:
        connection.close()
        _command(**json.loads(request))
    _, status = os.waitpid(pid, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _command(module: str, arguments: list[str], environment: dict[str, str], folder: str, out: str, err: str) -> None:
    os.setsid()
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
        opened = os.open(path, flags | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv[1:] = arguments
    status = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as exc:
        status = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _serve(sys.argv[1])
