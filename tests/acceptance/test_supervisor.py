"""The supervisor with real processes: order, failures, signals, and that nothing is ever left behind."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.eventually import eventually
from workers.supervision.os_processes import Identity, alive, all_processes, look_up
from workers.supervision.supervisor import Event, Service, StackRunning, StartFailed, State, Supervisor, read_stack

FOREVER = "import time; time.sleep(600)"
# a process that ends on SIGTERM and has a child that does not, whose pid it prints
WITH_DEAF_CHILD = """
import subprocess, sys, time
deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-S", "-c", deaf], stdout=subprocess.PIPE)
child.stdout.readline()
print("child", child.pid, flush=True)
time.sleep(600)
"""
# the same, with the child in a session of its own, where the signal to the group does not reach it
WITH_RUNAWAY = WITH_DEAF_CHILD.replace("stdout=subprocess.PIPE", "stdout=subprocess.PIPE, start_new_session=True")
# a supervisor in a process of its own, to be signalled: HOME and the code of its services
SUPERVISOR = """
import sys
from pathlib import Path
from workers.supervision.supervisor import Service, Supervisor
home = Path(sys.argv[1])
log = lambda name: home / "logs" / f"{name}.log"
def ready(name): return lambda: log(name).exists() and log(name).read_text() != ""
with Supervisor(home, on_event=lambda event: print(event, flush=True)) as stack:
    services = [Service(f"s{n}", (sys.executable, "-S", "-u", "-c", code), ready(f"s{n}"), stop_timeout=3.0)
                for n, code in enumerate(sys.argv[2:])]
    stack.start(services, {})
    stack.run()
"""


def service(name: str, code: str = FOREVER, ready: Callable[[], bool] = lambda: True, **options: object) -> Service:
    return Service(name, (sys.executable, "-S", "-u", "-c", code), ready, **options)  # type: ignore[arg-type]  # tests


def printed_child(home: Path, name: str) -> Identity:
    """The child that a service has announced in its log."""
    log = home / "logs" / f"{name}.log"
    said = eventually(lambda: log.exists() and re.search(r"child (\d+)\n", log.read_text()))
    assert said
    found = look_up(int(said[1]))
    assert found is not None
    return found.identity


def descendants(marker: Path) -> list[int]:
    """Living processes whose command line or environment names the home."""
    found = []
    for process in all_processes():
        try:
            command_line = Path(f"/proc/{process.identity.pid}/cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(marker) in command_line:
            found.append(process.identity.pid)
    return found


Separate = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def separate(tmp_path: Path) -> Iterator[Separate]:
    """Supervisors in processes of their own, their stacks up; ended with the test."""
    made: list[subprocess.Popen[bytes]] = []

    def make(*codes: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", SUPERVISOR, str(tmp_path), *codes]
        made.append(subprocess.Popen(command, start_new_session=True))
        eventually(lambda: read_stack(tmp_path) is not None)
        return made[-1]

    yield make
    for process in made:
        process.kill()
        process.wait()


def test_what_was_begun_is_awaited_by_the_next_start(tmp_path: Path) -> None:
    ready = threading.Event()
    with Supervisor(tmp_path) as stack:
        stack.begin([service("early", ready=ready.is_set)])
        assert stack.states() == {"early": State.STARTING}
        threading.Timer(0.3, ready.set).start()
        stack.start([service("late", after=("early",))], {})
        assert set(stack.states().values()) == {State.UP}


def test_services_start_in_order_and_stop_in_the_other(tmp_path: Path) -> None:
    events: list[Event] = []
    with Supervisor(tmp_path, on_event=events.append) as stack:
        services = [
            service("c", after=("b",)), service("a"), service("b", after=("a",)), service("d", after=("a",)),
        ]  # fmt: skip
        stack.start(services, {"web": "http://127.0.0.1:1"})
        info = read_stack(tmp_path)
        assert info is not None
        assert info.addresses == {"web": "http://127.0.0.1:1"}
        assert set(info.pids) == {"a", "b", "c", "d"}
        assert set(stack.states().values()) == {State.UP}
    seen: list[tuple[str, str]] = [(event.kind, event.service) for event in events]
    for earlier, later in itertools.pairwise([
        ("ready", "a"), ("started", "b"), ("ready", "b"), ("started", "c"), ("ready", "c"),
        ("stopped", "c"), ("stopping", "b"), ("stopped", "b"), ("stopping", "a"), ("stopped", "a"),
    ]):  # fmt: skip
        assert seen.index(earlier) < seen.index(later)
    assert seen.index(("stopped", "d")) < seen.index(("stopping", "a"))
    assert read_stack(tmp_path) is None
    assert not any(look_up(pid) for pid in info.pids.values())
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["lock"]


def test_independent_services_start_side_by_side(tmp_path: Path) -> None:
    began = time.monotonic()

    def later() -> bool:
        return time.monotonic() - began > 1.5

    with Supervisor(tmp_path) as stack:
        stack.start([service(name, ready=later) for name in "abcdef"], {})
        assert time.monotonic() - began < 5


def test_a_service_that_dies_at_the_start_is_quoted(tmp_path: Path) -> None:
    events: list[Event] = []
    with (
        Supervisor(tmp_path, on_event=events.append) as stack,
        pytest.raises(StartFailed, match=r"(?s)bad: ended .*exit code 1.*no such thing as luck.*bad\.log"),
    ):
        stack.start([service("good"), service("bad", "raise SystemExit('no such thing as luck')", lambda: False)])
    assert ("stopped", "good") in [(event.kind, event.service) for event in events]


def test_a_service_that_never_gets_ready_is_quoted(tmp_path: Path) -> None:
    code = "print('waiting for Godot'); " + FOREVER
    with (
        Supervisor(tmp_path) as stack,
        pytest.raises(StartFailed, match=r"(?s)not ready after 1 s.*waiting for Godot"),
    ):
        stack.start([service("slow", code, lambda: False, ready_timeout=1.0)])


def test_one_that_is_not_critical_may_fail_without_stopping_the_rest(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as stack:
        stack.start([service("main"), service("extra", "raise SystemExit(1)", lambda: False, critical=False)], {})
        assert stack.run(until=lambda: stack.states()["extra"] is State.RESTING)
        assert stack.states()["main"] is State.UP


def test_what_is_killed_comes_back_and_its_children_do_not_stay(tmp_path: Path) -> None:
    events: list[Event] = []
    with Supervisor(tmp_path, on_event=events.append) as stack:
        stack.start([service("worker", WITH_DEAF_CHILD)], {})
        child = printed_child(tmp_path, "worker")
        before = read_stack(tmp_path)
        assert before is not None
        os.kill(before.pids["worker"], signal.SIGKILL)
        assert stack.run(until=lambda: "restarted" in [event.kind for event in events])
        assert stack.run(until=lambda: stack.states()["worker"] is State.UP)
        after = read_stack(tmp_path)
        assert after is not None
        assert after.pids["worker"] != before.pids["worker"]
        assert after.ready_at == before.ready_at
        assert not alive(child)
    assert "killed by SIGKILL" in " ".join(map(str, events))


@pytest.mark.parametrize("code", [WITH_DEAF_CHILD, WITH_RUNAWAY], ids=["in the group", "in another session"])
def test_a_deaf_grandchild_does_not_outlive_the_stack(tmp_path: Path, code: str) -> None:
    with Supervisor(tmp_path) as stack:
        stack.start([service("worker", code)], {})
        child = printed_child(tmp_path, "worker")
        assert alive(child)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert not alive(child)


def test_a_home_has_one_stack_and_another_home_another(tmp_path: Path) -> None:
    with Supervisor(tmp_path / "one") as one:
        one.start([service("a")], {})
        with pytest.raises(StackRunning, match=str(os.getpid())), Supervisor(tmp_path / "one"):
            pass
        with Supervisor(tmp_path / "two") as two:
            two.start([service("a")], {})
        assert one.run(until=lambda: True)
        assert one.states() == {"a": State.UP}
        assert read_stack(tmp_path / "one") is not None


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_in_order(tmp_path: Path, separate: Separate, signum: signal.Signals) -> None:
    process = separate(WITH_DEAF_CHILD, WITH_RUNAWAY)
    children = [printed_child(tmp_path, name) for name in ("s0", "s1")]
    process.send_signal(signum)
    assert process.wait(60) == 0
    assert not any(alive(child) for child in children)
    eventually(lambda: not descendants(tmp_path))


def test_an_interrupt_counts_even_where_the_shell_ignores_it(tmp_path: Path) -> None:
    (tmp_path / "supervise.py").write_text(SUPERVISOR)
    script = '"$@" & wait'  # a shell without job control lets background commands ignore SIGINT
    shell = subprocess.Popen(
        ["sh", "-c", script, "sh", sys.executable, str(tmp_path / "supervise.py"), str(tmp_path)],
        start_new_session=True,
    )
    eventually(lambda: read_stack(tmp_path) is not None)
    info = read_stack(tmp_path)
    assert info is not None
    os.kill(info.supervisor.pid, signal.SIGINT)
    assert shell.wait(60) == 0
    assert not alive(info.supervisor)


def test_a_second_signal_kills_at_once(tmp_path: Path, separate: Separate) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    process = separate(deaf)
    info = read_stack(tmp_path)
    assert info is not None
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    eventually(lambda: read_stack(tmp_path) is None)  # it has begun to stop
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert time.monotonic() - began < 2.5  # its patience would have been three seconds
    assert look_up(info.pids["s0"]) is None


def test_a_signal_while_starting_stops_too(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path), FOREVER], start_new_session=True, stderr=subprocess.PIPE
    )
    eventually((tmp_path / "logs" / "s0.log").exists)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in said
    assert not descendants(tmp_path)


def test_a_killed_supervisor_leaves_nothing(tmp_path: Path, separate: Separate) -> None:
    process = separate(WITH_DEAF_CHILD, WITH_RUNAWAY)
    info = read_stack(tmp_path)
    assert info is not None
    children = [printed_child(tmp_path, name) for name in ("s0", "s1")]
    process.kill()
    process.wait()
    eventually(lambda: not any(map(look_up, info.pids.values())) and not any(map(alive, children)), 5)
    eventually(lambda: not descendants(tmp_path), 5)
    assert read_stack(tmp_path) is None


def guardians(home: Path) -> list[int]:
    return [pid for pid in descendants(home) if b"supervision.guardian" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_guardian_that_was_killed_is_replaced(tmp_path: Path, separate: Separate) -> None:
    process = separate(WITH_RUNAWAY)
    child = printed_child(tmp_path, "s0")
    (first,) = guardians(tmp_path)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: guardians(tmp_path) not in ([], [first]), 10)
    process.kill()
    process.wait()
    eventually(lambda: not alive(child), 10)


def test_the_next_start_ends_what_even_the_guardian_could_not(tmp_path: Path, separate: Separate) -> None:
    process = separate(WITH_RUNAWAY)
    child = printed_child(tmp_path, "s0")
    process.send_signal(signal.SIGSTOP)  # it would replace its guardian
    (guardian,) = guardians(tmp_path)
    os.kill(guardian, signal.SIGKILL)
    process.kill()
    process.wait()
    assert alive(child)
    events: list[Event] = []
    with Supervisor(tmp_path, on_event=events.append) as stack:
        assert not alive(child)
        assert [event.kind for event in events] == ["leftover"]
        stack.start([service("a")], {})
