"""Compose's health checks, each as Compose runs it, beside real processes: they check progress, not only life.

What a check reads is aged by hand, as if the time that it allows had gone by.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from tests.contract.diagnostics.health_commands import age, answers, command
from tests.contract.diagnostics.health_commands import own as own  # noqa: PLC0414 -- a fixture
from tests.contract.own_redis import OwnRedis
from tests.eventually import eventually
from tests.unit.compose_file import FILE, LASTING, SERVICES, seconds
from workers.supervision.liveness_files import LivenessFiles

FOLDER = FILE["x-redis"]["WILDTAG_LIVENESS_FOLDER"]


PATIENCE_S = 90.0


MINUTE_S = 0.5  # of CPU that all checks of an idle stack may take a minute


# what runs without models, store or captions; the listener's loop is tried by its own tests
COMMANDS = {
    "dispatcher": ["dispatcher"],
    "reconcile": ["reconcile", "--every", "600"],
    "writer": ["writer"],
    "notifier": ["notifier"],
    "worker-extraction": ["worker", "extraction"],
}


def healthy(service: str, folder: Path) -> bool:
    done = subprocess.run(
        command(service, lambda word: word.replace(FOLDER, str(folder))), capture_output=True, check=False, timeout=5
    )
    return done.returncode == 0


@contextmanager
def running(service: str, own: OwnRedis, tmp_path: Path) -> Iterator[psutil.Process]:
    environment = {
        **os.environ, "WILDTAG_HOME": str(tmp_path / "home"), "WILDTAG_REDIS_URL": own.url,
        "WILDTAG_BROKER_URL": own.url.replace("unix://", "redis+socket://"),
        "WILDTAG_LIVENESS_FOLDER": str(tmp_path / "alive"), "WILDTAG_WRITE_BACK": "sidecar",
        "WILDTAG_NOTIFY_URL": "http://127.0.0.1:1/", "WILDTAG_NOTIFY_SECRET": "whsec_" + "A" * 32,
    }  # fmt: skip
    (tmp_path / "home" / "inbox").mkdir(parents=True)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.cli", *COMMANDS[service]], env=environment, stderr=log, stdout=log
        )
    seen = psutil.Process(process.pid)
    try:
        yield seen
    finally:
        for one in (*seen.children(recursive=True), seen):
            one.kill()
        process.wait(10)


@pytest.mark.long
def test_a_process_is_healthy_while_it_works_and_not_while_it_is_stopped(own: OwnRedis, tmp_path: Path) -> None:
    """All kinds of processes, each in a home of its own, go through it together."""
    homes = {service: tmp_path / service for service in sorted(COMMANDS)}
    files = {service: home / "alive" / service.removeprefix("worker-") for service, home in homes.items()}

    def found() -> set[str]:
        return {service for service, home in homes.items() if healthy(service, home / "alive")}

    def said() -> str:
        return "\n".join((homes[service] / "log").read_text() for service in homes.keys() - found())

    def all_healthy() -> None:
        eventually(lambda: found() == homes.keys(), PATIENCE_S, said, every_s=0.2)

    def age_all() -> None:
        for file in files.values():
            age(file)

    assert not found(), "nobody has given a sign yet"
    with ExitStack() as processes:
        started = [processes.enter_context(running(service, own, home)) for service, home in homes.items()]
        all_healthy()

        # the processes themselves are stopped, and whatever they started goes on
        for process in started:
            process.send_signal(signal.SIGSTOP)
        age_all()
        ends = time.monotonic() + 8
        while time.monotonic() < ends:
            assert not found(), "a stopped process gives no sign"
            time.sleep(0.2)  # between two looks
        for process in started:
            process.send_signal(signal.SIGCONT)
        all_healthy()

        # Redis away is not their fault, whatever they were doing, and for however long
        own.kill()
        for _ in range(2):
            age_all()
            all_healthy()
        own.start()
        age_all()
        all_healthy()


def test_a_predecessors_sign_does_not_count(tmp_path: Path) -> None:
    LivenessFiles(tmp_path / "alive").begin("reconcile")
    LivenessFiles(tmp_path / "alive").touch("reconcile")
    assert healthy("reconcile", tmp_path / "alive")
    LivenessFiles(tmp_path / "alive").begin("reconcile")
    assert not healthy("reconcile", tmp_path / "alive")


@pytest.mark.parametrize("said", ["", "\n", "soon\n", "-5 x\n", "99999999999\n", "$(touch /tmp/x)\n"])
def test_what_is_no_sign_is_none(tmp_path: Path, said: str) -> None:
    (tmp_path / "reconcile").write_text(said)
    assert not healthy("reconcile", tmp_path)


@contextmanager
def answering(status: int, delay: float = 0.0) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(delay)  # a gateway that answers late
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("service", ["gateway", "flower", "qdrant"])
def test_what_answers_by_http_is_healthy_when_it_says_so(service: str) -> None:
    with answering(200) as port:
        assert answers(service, port)
    assert not answers(service, port), "refused"
    with answering(503) as port:
        assert not answers(service, port)
    with answering(200, delay=6.0) as port:
        assert not answers(service, port)


def test_all_checks_together_cost_next_to_nothing(own: OwnRedis, tmp_path: Path) -> None:
    files = LivenessFiles(tmp_path / "alive")
    files.begin()
    total, runs = 0.0, 5
    with answering(200) as port:

        def here(word: str) -> str:
            word = re.sub(r"127\.0\.0\.1:\d{4}", f"127.0.0.1:{port}", word.replace(FOLDER, str(tmp_path / "alive")))
            word = word.replace("redis-cli ", f"redis-cli -s {own.url.removeprefix('unix://')} ")
            return str(port) if re.fullmatch(r"\d{4}", word) else word

        for service in sorted(LASTING):
            arguments = command(service, here)
            if shutil.which(arguments[0]) is None:
                pytest.skip(f"{arguments[0]} is not installed; the check of {service} runs it")
            if "sh" in arguments[:1]:
                files.touch(arguments[-1])
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            for _ in range(runs):
                done = subprocess.run(
                    arguments, env=os.environ | {"REDIS_PASSWORD": ""}, capture_output=True, check=False
                )
                assert done.returncode == 0, f"{service}: {done.stdout!r} {done.stderr!r}"
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            each = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / runs
            total += each * 60 / seconds(SERVICES[service]["healthcheck"]["interval"])
            print(f"{service}: {1000 * each:.1f} ms each")  # noqa: T201 -- shown where it fails
    print(f"{total:.3f} s a minute")  # noqa: T201 -- as above
    assert total <= MINUTE_S
