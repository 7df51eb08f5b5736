"""The stack with RabbitMQ as its broker: the same as with Redis, and what may happen to the broker alone."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.acceptance.images import drop
from tests.acceptance.stack import Json, Stack
from tests.acceptance.test_nothing_is_lost import (  # the same tests, with the stacks of this module
    test_a_killed_stack_goes_on_where_it_was,  # noqa: F401 -- collected here
    test_every_process_may_be_killed,  # noqa: F401 -- as above
    variants,
)
from tests.acceptance.test_way_of_an_image import (
    test_every_file_ends_with_exactly_one_final_record,  # noqa: F401 -- as above
)
from tests.contract.own_rabbit import PASSWORD, OwnRabbit, vhost_of
from tests.eventually import eventually
from workers.embedded.ports import free_port
from workers.embedded.redis_server import PrivateRedis
from workers.embedded.stack import command
from workers.lifecycle.record_reader import Records
from workers.redis.connection import connect
from workers.redis.keys import Keys
from workers.settings.settings import STAGES

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]


@pytest.fixture(scope="module")
def rabbit() -> Iterator[OwnRabbit]:
    """A server for the stacks of this module."""
    server = OwnRabbit()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def make_stack(make_stack: Callable[..., Stack], rabbit: OwnRabbit) -> Callable[..., Stack]:
    """Makes stacks whose broker is the server of this module, each with a virtual host of its own."""

    def make(name: str = "home", **settings: str) -> Stack:
        return make_stack(name, WILDTAG_BROKER_URL=rabbit.own_url(), **settings)

    return make


def finished_once(stack: Stack, count: int) -> None:
    """Each image has one record, and the feed has reported each once."""
    records = stack.settled(count, patience=240)
    assert {record["state"] for record in records.values()} == {"done"}
    assert Counter(stack.feed()) == Counter(f"inbox/{key}" for key in records)


def flower_request(stack: Stack, path: str) -> urllib.request.Request:
    """A request to Flower with its password."""
    secret = b64encode((stack.home / "flower.auth").read_text().strip().encode()).decode()
    return urllib.request.Request(
        f"{stack.info().addresses['flower']}{path}", headers={"Authorization": f"Basic {secret}"}
    )


def status(stack: Stack) -> Json:
    said: Json = json.loads(stack.wildtag("status", "--json").stdout)
    return said


def test_a_broker_that_is_killed_costs_no_image(make_stack: Callable[..., Stack], rabbit: OwnRabbit) -> None:
    stack = make_stack(WILDTAG_DEADLINE_S="20", WILDTAG_BATCH_MAX="4")
    stack.start()
    photographs = variants(120)
    for number, data in enumerate(photographs):
        drop(stack.inbox, f"{number}.jpg", data)
        if number in {40, 80}:
            rabbit.kill()
            rabbit.start()
    finished_once(stack, len(photographs))
    assert stack.stop() < 10


def test_a_deleted_queue_costs_no_image(make_stack: Callable[..., Stack], rabbit: OwnRabbit) -> None:
    stack = make_stack(WILDTAG_DEADLINE_S="8", WILDTAG_BATCH_MAX="4")
    stack.start()
    for number, data in enumerate(variants(60)):
        drop(stack.inbox, f"{number}.jpg", data)
    eventually(lambda: stack.tally()["in_flight"] > 0, 30, stack.said)
    vhost = vhost_of(stack.environment["WILDTAG_BROKER_URL"])
    for stage in STAGES:
        rabbit.control("delete_queue", "-p", vhost, f"wildtag:{stage}")
    finished_once(stack, 60)
    assert stack.stop() < 10


def test_a_broker_that_is_out_of_memory_is_shown_and_work_resumes(
    make_stack: Callable[..., Stack], rabbit: OwnRabbit
) -> None:
    stack = make_stack(WILDTAG_DEADLINE_S="20", WILDTAG_BATCH_MAX="4")
    stack.start()
    photographs = variants(60)
    for number, data in enumerate(photographs[:30]):
        drop(stack.inbox, f"{number}.jpg", data)
    rabbit.full(True)
    try:
        for number, data in enumerate(photographs[30:], 30):
            drop(stack.inbox, f"{number}.jpg", data)
        eventually(lambda: [one for one in stack.outages() if one.name == "broker"], 60, stack.said)
        (outage,) = status(stack)["outages"]
        assert outage["name"] == "broker"
        assert "memory" in outage["reason"]
        with urllib.request.urlopen(f"{stack.info().addresses['gateway']}/readyz", timeout=20) as answer:
            ready = json.loads(answer.read())
        assert ready["ready"]  # images are still accepted
        assert [one["name"] for one in ready["outages"]] == ["broker"]
    finally:
        rabbit.full(False)
    finished_once(stack, 60)
    assert not status(stack)["outages"]
    assert stack.tally()["dead"] == 0
    assert stack.stop() < 10


def test_a_full_restart_in_the_middle(make_stack: Callable[..., Stack], rabbit: OwnRabbit) -> None:
    stack = make_stack(WILDTAG_DEADLINE_S="20", WILDTAG_BATCH_MAX="4")
    stack.start()
    for number, data in enumerate(variants(60)):
        drop(stack.inbox, f"{number}.jpg", data)
    eventually(lambda: stack.tally()["in_flight"] > 0, 30, stack.said)
    stack.stop()
    rabbit.stop()
    rabbit.start()
    stack.start()
    finished_once(stack, 60)
    assert stack.stop() < 10


def test_depths_are_shown_and_no_password(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack()
    stack.start()
    drop(stack.inbox, "cat.jpg", variants(1)[0])
    stack.settled(1)
    queues = status(stack)["queues"]
    assert queues["unacknowledged"] is None
    assert queues["queues"].keys() >= set(STAGES)
    assert all(queues["queues"][stage]["consumers"] == 1 for stage in STAGES)
    gateway = stack.info().addresses["gateway"]
    with urllib.request.urlopen(f"{gateway}/metrics", timeout=20) as answer:
        metrics = answer.read().decode()
    assert 'wildtag_queue_consumers{queue="embedding"} 1.0' in metrics
    assert 'wildtag_queue_messages{queue="embedding"} 0.0' in metrics
    pages = []
    for path in ("/broker", "/workers"):  # for the first, Flower itself would ask another port, without encryption
        with urllib.request.urlopen(flower_request(stack, path), timeout=20) as answer:
            pages.append(answer.read().decode())
    assert all(stage in pages[0] for stage in STAGES)
    printed = [stack.wildtag(name, check=False).stdout for name in ("status", "doctor")]
    said = [stack.said(), metrics, *pages, *printed]
    url = stack.environment["WILDTAG_BROKER_URL"]
    secret = url.split("://")[1].rpartition("@")[0].partition(":")[2]
    assert not [text for text in said if PASSWORD in text or secret in text]
    assert stack.stop() < 10


def test_a_wrong_password_is_one_clear_line(make_stack: Callable[..., Stack], rabbit: OwnRabbit) -> None:
    stack = make_stack()
    stack.environment["WILDTAG_BROKER_URL"] = rabbit.url_of("wrong pass")
    done = subprocess.run(
        command("up"), env=stack.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "refuses" in line]
    assert "WILDTAG_BROKER_URL" in line
    assert "wrong pass" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_separate_processes_on_a_redis_and_a_rabbitmq(make_stack: Callable[..., Stack], tmp_path: Path) -> None:
    """As on several machines: no supervisor, each process by its own command, and workers killed meanwhile."""
    stack = make_stack(WILDTAG_DEADLINE_S="15", WILDTAG_BATCH_MAX="4", WILDTAG_GATEWAY_PORT=str(free_port(0)))
    stack.inbox.mkdir()
    redis = PrivateRedis(tmp_path / "redis")
    environment = {**stack.environment, "WILDTAG_REDIS_URL": redis.url}
    with ExitStack() as running:

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            out = running.enter_context((tmp_path / "processes.log").open("ab"))
            process = subprocess.Popen(arguments, env=environment, stdout=out, stderr=out)
            running.callback(end, process)
            return process

        start(str(redis.program.path), str(redis.configuration))
        records = Records(connect(redis.url), Keys("wildtag:"))
        eventually(redis.client().ping, 20, despite=(OSError, Exception))
        workers = {stage: start(*command("worker", stage)) for stage in STAGES}
        for name in ("dispatcher", "watcher", "gateway"):
            start(*command(name))
        photographs = variants(120)
        for number, data in enumerate(photographs):
            drop(stack.inbox, f"{number}.jpg", data)
            if number % 30 == 20:
                stage = STAGES[number // 30]
                eventually(lambda: records.counts()["done"] > 0, 120, (tmp_path / "processes.log").read_text)
                kill(workers[stage])
                workers[stage] = start(*command("worker", stage))
        eventually(
            lambda: records.counts()["done"] == len(photographs), 200,
            lambda: f"{records.counts()}\n{(tmp_path / 'processes.log').read_text()[-5000:]}", every_s=0.1,
        )  # fmt: skip
        feed = records.feed("0", block_ms=1, count=1_000)
        assert Counter(item.oid for item in feed) == Counter(f"inbox/{n}.jpg" for n in range(len(photographs)))
        assert records.counts()["dead"] == 0


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a process and all below it."""
    family = psutil.Process(process.pid)
    for one in [*family.children(recursive=True), family]:
        os.kill(one.pid, 9)
    process.wait(10)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process if it still runs."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        kill(process)
