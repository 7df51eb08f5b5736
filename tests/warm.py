"""Commands of wildtag without the seconds that importing torch, transformers and spaCy costs each of them.

A server process imports the modules once and forks for every command. The command is otherwise run as by
``python -m workers.cli``: with its own environment, current folder, standard streams and exit status. Tests that show
how a command starts (README, tutorial, stacks, what is killed) run it by itself.
"""

from __future__ import annotations

import json
import os
import runpy
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
    "workers.wiring.wiring", "workers.wiring.models", "torch", "transformers.models.bert.modeling_bert",
    "transformers.models.auto.tokenization_auto", "efficientnet_lite_pytorch", "spacy.lang.en", "qdrant_client",
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
    """The socket of the server, which ends with this process, because its standard input is then closed."""
    address = f"{tempfile.mkdtemp(prefix='wt-', dir='/tmp')}/commands"
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.warm", address], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    _servers.append(server)
    return address


_servers: list[subprocess.Popen[bytes]] = []


def _serve(address: str) -> None:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # as the commands set it, before torch is loaded
    for module in MODULES:
        __import__(module)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if not os.fork():  # ends the server when the tests are over, which hold the other end of its standard input
        listener.close()
        sys.stdin.buffer.read()
        os.killpg(os.getpgid(0), 15)
    while True:
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            _handle(connection)
        connection.close()
        _reap()


def _reap() -> None:
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def _handle(connection: socket.socket) -> None:
    """Fork for the command, wait for it, and answer with its exit status; the negative signal if one ended it."""
    request = json.loads(connection.makefile().readline())
    pid = os.fork()
    if not pid:
        connection.close()
        _command(**request)
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
    os.setpgrp()
    _serve(sys.argv[1])
