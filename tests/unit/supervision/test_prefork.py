"""Processes that are forked behave as those that are started: output, environment, signals and end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.eventually import eventually
from workers.supervision.child import Child
from workers.supervision.os_processes import alive, has_mark, look_up
from workers.supervision.prefork import ForkedChild, PreforkServer, ServerEnded
from workers.supervision.service import Service
from workers.supervision.supervisor import Event, State, Supervisor

PROGRAM = """
import os, signal, sys, threading, time, shared
def main(what):
    print("argv", *sys.argv[1:], flush=True)
    if what == "fail": raise KeyError("a bug")
    if what == "exit": sys.exit(int(sys.argv[2]))
    if what == "say": print(os.environ.get("HOW"), os.getcwd(), os.environ.get("PATH") is not None, flush=True)
    if what == "shared": print(shared.PID, os.getpid() != shared.PID, threading.active_count(), flush=True)
    if what == "files": print(sorted(map(int, os.listdir("/proc/self/fd"))), flush=True)
    if what == "handlers": print([signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)], flush=True)
    if what == "wait": time.sleep(600)
    if what == "family":
        if not os.fork(): time.sleep(600)
        print("born", flush=True)
        time.sleep(600)
if __name__ == "__main__": main(sys.argv[1])
"""
THREADED = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
SHARED = "import os\nPID = os.getpid()\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "shared.py").write_text(SHARED)
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path(__file__).parents[3])]))
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[PreforkServer]:
    made = PreforkServer("program", "shared", folder / "logs" / "prefork.log", "token")
    yield made
    made.close()


def service(*arguments: str, **options: object) -> Service:
    command = (sys.executable, "-P", "-m", "program", *arguments)
    return Service("x", command, lambda: True, **options)  # type: ignore[arg-type]  # tests


def run(server: PreforkServer, folder: Path, *arguments: str, **options: object) -> ForkedChild:
    return ForkedChild(service(*arguments, **options), folder / "logs" / "x.log", server)


def output(server: PreforkServer, folder: Path, *arguments: str, **options: object) -> list[str]:
    child = run(server, folder, *arguments, **options)
    eventually(child.exit_status)
    child.reap()
    return child.last_lines().splitlines()


@pytest.mark.parametrize(("code", "words"), [("0", "exit code 0"), ("3", "exit code 3")])
def test_its_end_is_told_in_words(server: PreforkServer, folder: Path, code: str, words: str) -> None:
    child = run(server, folder, "exit", code)
    eventually(child.exit_status)
    assert child.exit_status() == words
    child.reap()
    assert child.exit_status() == words
    assert child.last_lines() == f"argv exit {code}"


def test_a_bug_ends_it_with_a_traceback_in_its_log(server: PreforkServer, folder: Path) -> None:
    child = run(server, folder, "fail")
    eventually(child.exit_status)
    child.reap()
    assert child.exit_status() == "exit code 1"
    assert "KeyError: 'a bug'" in child.last_lines()


def test_it_has_its_own_environment_and_folder_and_the_server_has_not(server: PreforkServer, folder: Path) -> None:
    said = output(server, folder, "say", env={"HOW": "seeded-secret"}, cwd=folder)
    assert said[1] == f"seeded-secret {folder} True"
    assert output(server, folder, "say")[1].startswith("None ")
    child = run(server, folder, "wait", env={"HOW": "seeded-secret"})
    mother = psutil.Process(child.pid).ppid()
    for pid in (child.pid, mother):
        assert b"seeded-secret" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert has_mark(pid, "token")
    child.reap()


def test_it_begins_with_what_was_imported_and_nothing_else(server: PreforkServer, folder: Path) -> None:
    pid, differs, threads = output(server, folder, "shared")[1].split()
    assert psutil.Process(int(pid)).parent() == psutil.Process()
    assert (differs, threads) == ("True", "1")
    assert output(server, folder, "files")[1] == "[0, 1, 2, 3]"  # the last one lists them
    assert "Handlers.SIG_DFL" in (said := output(server, folder, "handlers")[1])
    assert "default_int_handler" in said


def test_it_leads_a_session_and_shows_its_command(server: PreforkServer, folder: Path) -> None:
    child = run(server, folder, "wait")
    eventually(lambda: "argv" in child.last_lines())
    assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid
    shown = Path(f"/proc/{child.pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    assert shown == [os.fsencode(word) for word in service("wait").command]
    child.signal(signal.SIGTERM)
    eventually(child.exit_status)
    assert child.exit_status() == "killed by SIGTERM"
    child.reap()


def test_its_group_ends_with_it(server: PreforkServer, folder: Path) -> None:
    child = run(server, folder, "family")
    eventually(lambda: "born" in child.last_lines())
    (grandchild,) = psutil.Process(child.pid).children()
    found = look_up(grandchild.pid)
    assert found is not None
    os.kill(child.pid, signal.SIGKILL)
    eventually(child.exit_status)
    assert child.exit_status() == "killed by SIGKILL"
    assert alive(found.identity)
    child.reap()
    eventually(lambda: not alive(found.identity))
    child.reap()  # may be called twice
    child.kill()


def test_what_the_server_forked_ends_with_it_and_its_group(server: PreforkServer, folder: Path) -> None:
    child = run(server, folder, "family")
    eventually(lambda: "born" in child.last_lines())
    (grandchild,) = psutil.Process(child.pid).children()
    found = look_up(grandchild.pid)
    assert found is not None
    psutil.Process(child.pid).parent().kill()  # type: ignore[union-attr]  # it has one
    eventually(child.exit_status)
    assert child.exit_status() == "killed by SIGKILL"
    child.reap()
    eventually(lambda: not alive(found.identity))
    with pytest.raises(ServerEnded):
        run(server, folder, "wait")


def test_a_supervisor_forks_what_runs_its_program_and_starts_the_rest(folder: Path) -> None:
    other = Service("other", (sys.executable, "-S", "-c", "import time; time.sleep(600)"), lambda: True)
    events: list[Event] = []
    with Supervisor(folder, events.append, prefork=("program", "shared")) as stack:
        stack.start([service("wait"), other], {})
        pids = {event.service: event.pid for event in events if event.kind == "started"}
        mother = psutil.Process(pids["x"]).parent()
        assert mother is not None
        assert mother.parent() == psutil.Process()
        assert psutil.Process(pids["other"]).parent() == psutil.Process()
        mother.kill()
        assert stack.run(until=lambda: any(event.kind == "restarted" for event in events))
        restarted = next(event.pid for event in events if event.kind == "restarted")
        assert psutil.Process(restarted).parent() not in {None, mother, psutil.Process()}
        left = [look_up(pid) for pid in (restarted, psutil.Process(restarted).ppid(), pids["other"]) if pid]
    eventually(lambda: not any(alive(process.identity) for process in left if process))


def test_a_service_that_cannot_be_started_harms_no_other(folder: Path) -> None:
    (folder / "logs" / "y.log").mkdir(parents=True)  # in place of a full disk: there is no log for it
    events: list[Event] = []
    bad = Service("y", service("wait").command, lambda: True, critical=False)
    with Supervisor(folder, events.append, prefork=("program", "shared")) as stack:
        stack.start([service("wait"), bad], {})
        assert stack.run(until=lambda: any("cannot be started" in str(event) for event in events))
        assert stack.states()["x"] == State.UP
    assert {event.service for event in events if event.kind == "died"} == {"y"}  # it is tried again


def test_where_forking_is_not_safe_processes_are_started(folder: Path) -> None:
    events: list[Event] = []
    with Supervisor(folder, events.append, prefork=("program", "threaded")) as stack:
        stack.start([service("wait")], {})
        pid = next(event.pid for event in events if event.kind == "started")
        assert psutil.Process(pid).parent() == psutil.Process()
    assert "Threads: importing threaded starts threads" in (folder / "logs" / "prefork.log").read_text()
    assert any("cannot fork" in str(event) for event in events)


def test_the_modules_that_the_stack_shares_can_be_forked(tmp_path: Path) -> None:
    """They start no thread, or the server would end; and ``wildtag`` runs from them as it does by itself."""
    server = PreforkServer("workers.cli", "workers.cli.preload", tmp_path / "prefork.log", "token")
    try:
        command = (sys.executable, "-P", "-m", "workers.cli", "--version")
        child: Child = ForkedChild(Service("x", command, lambda: True), tmp_path / "x.log", server)
        eventually(child.exit_status)
        child.reap()
        assert (child.exit_status(), child.last_lines().split()[0]) == ("exit code 0", "wildtag")
    finally:
        server.close()
