"""A real RabbitMQ carries messages: confirmed, after a pause, through restarts, and never without a limit of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Submitted
from tests.contract.certificates import certified
from tests.contract.own_rabbit import PASSWORD, OwnRabbit
from tests.eventually import eventually
from workers.broker.publisher import BrokerRefused, BrokerUnavailable, Publisher
from workers.broker.rabbitmq import REDELIVERIES
from workers.settings.settings import QUEUES, Settings
from workers.wiring.wiring import Wiring

pytestmark = [pytest.mark.timeout(240), pytest.mark.long]

PREFIXES = (f"test{number}:" for number in range(1_000))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificates of the server."""
    folder = tmp_path_factory.mktemp("tls")
    certified(folder)
    return folder


@pytest.fixture(scope="module")
def rabbit(authority: Path) -> Iterator[OwnRabbit]:
    """A server for the tests of this module."""
    server = OwnRabbit((authority / "ca.pem", authority / "both.pem", authority / "both.pem"))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def make(rabbit: OwnRabbit) -> Callable[..., Wiring]:
    """Makes the adapters of a process. Those of one test share queues that no other test has."""
    prefix = next(PREFIXES)

    def made(url: str = "", **settings: Any) -> Wiring:
        return Wiring(Settings(broker_url=url or rabbit.url, key_prefix=prefix, **settings))

    return made


@pytest.fixture
def publisher(make: Callable[..., Wiring]) -> Publisher:
    return make().publisher


def batch(key: str = "a.jpg") -> Submitted:
    return Submitted(objects=(ObjectRef("b", key, "e"),), revision=Revision("s", "c"))


def received(connection: Any, wiring: Wiring, stage: str, timeout: float = 10) -> Any:
    """The next message of a queue, unacknowledged."""
    return connection.SimpleQueue(wiring.app.amqp.queues[stage], accept=["msgpack"]).get(timeout=timeout)


def test_queues_are_durable_and_replicated_and_have_the_prefix(
    make: Callable[..., Wiring], rabbit: OwnRabbit
) -> None:
    wiring = make()
    wiring.publisher.send("embedding", batch())
    prefix = wiring.settings.key_prefix
    listed = rabbit.control("list_queues", "-p", "tag/one", "name", "type", "durable", "--silent")
    assert f"{prefix}embedding\tquorum\ttrue" in listed.splitlines()
    exchanges = rabbit.control("list_exchanges", "-p", "tag/one", "name", "--silent").split()
    assert all(name.startswith(("amq.", "test")) for name in exchanges), exchanges


def test_depths_are_known_and_asking_makes_no_queue(make: Callable[..., Wiring]) -> None:
    wiring = make()
    depths = wiring.publisher.depths()
    assert {name: (one.ready, one.consumers) for name, one in depths.queues.items()} == dict.fromkeys(QUEUES, (0, 0))
    for _ in range(3):
        wiring.publisher.send("retrieval", batch())
    with wiring.app.connection_for_read() as connection:
        message = received(connection, wiring, "retrieval")
        depths = wiring.publisher.depths()
        assert depths.unacknowledged is None
        assert (depths.queues["retrieval"].ready, depths.queues["embedding"].ready) == (0, 0)  # all were prefetched
        assert depths.queues["retrieval"].consumers == 1
        message.ack()
    assert wiring.publisher.queued("retrieval") == 2  # the closed connection gave them back


def test_a_message_with_a_pause_comes_later_and_is_held_by_no_worker(make: Callable[..., Wiring]) -> None:
    wiring = make()
    began = time.monotonic()
    wiring.publisher.send("scoring", batch("late.jpg"), pause=0.5, retries=3)
    assert wiring.publisher.queued("scoring") == 0
    with wiring.app.connection_for_read() as connection:
        message = received(connection, wiring, "scoring")
        assert time.monotonic() - began >= 0.5
        assert (message.headers["retries"], message.headers["eta"]) == (3, None)
        assert not message.delivery_info["redelivered"]
        message.ack()


def test_a_request_that_nobody_takes_expires(publisher: Publisher) -> None:
    publisher.probe("extraction", 0.2)
    eventually(lambda: publisher.queued("extraction") == 0, 10)


def test_a_deleted_queue_is_made_again_and_no_message_is_dropped(
    make: Callable[..., Wiring], rabbit: OwnRabbit
) -> None:
    wiring = make()
    wiring.publisher.send("embedding", batch())
    wiring.publisher.send("embedding", batch(), pause=0.01)
    for name in ("embedding", "delayed"):
        rabbit.control("delete_queue", "-p", "tag/one", f"{wiring.settings.key_prefix}{name}")
    wiring.publisher.send("embedding", batch())
    wiring.publisher.send("embedding", batch(), pause=0.01)
    eventually(lambda: wiring.publisher.queued("embedding") == 2, 10)


def test_a_message_that_was_not_finished_comes_again_marked_and_only_a_few_times(
    make: Callable[..., Wiring],
) -> None:
    wiring = make()
    wiring.publisher.send("embedding", batch())
    flags = []
    for _ in range(REDELIVERIES + 1):
        with wiring.app.connection_for_read() as connection:
            flags.append(received(connection, wiring, "embedding").delivery_info["redelivered"])
    assert flags == [False] + [True] * REDELIVERIES
    eventually(lambda: wiring.publisher.queued("embedding") == 0, 10)


def test_a_message_in_hand_cannot_be_put_back(publisher: Publisher) -> None:
    assert not publisher.put_back("embedding", "1")


def test_a_broker_that_is_out_of_memory_is_an_outage_and_no_publisher_hangs(
    publisher: Publisher, rabbit: OwnRabbit
) -> None:
    publisher.send("embedding", batch())
    publisher.reach()
    rabbit.full(True)
    try:
        calls: list[Callable[[], object]] = [
            lambda: publisher.send("embedding", batch()), publisher.reach, lambda: publisher.probe("embedding", 5),
            lambda: publisher.send("embedding", batch(), pause=1.0),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(BrokerUnavailable, match="memory or disk"):
                call()
        assert publisher.queued("embedding") == 1
    finally:
        rabbit.full(False)
    publisher.reach()
    publisher.send("embedding", batch())


def test_a_broker_that_hangs_is_an_outage(publisher: Publisher, rabbit: OwnRabbit) -> None:
    publisher.send("embedding", batch())
    rabbit.pause()
    try:
        calls: list[Callable[[], object]] = [
            lambda: publisher.send("embedding", batch()), publisher.reach, publisher.depths,
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(BrokerUnavailable):
                call()
    finally:
        rabbit.resume()
    publisher.send("embedding", batch())


def test_messages_outlast_a_broker_that_is_killed(publisher: Publisher, rabbit: OwnRabbit) -> None:
    for number in range(20):
        publisher.send("embedding", batch(f"{number}.jpg"))
    rabbit.kill()
    with pytest.raises(BrokerUnavailable):
        publisher.send("embedding", batch())
    rabbit.start()
    publisher.send("embedding", batch())  # over connections that were lost
    assert publisher.queued("embedding") == 21


def test_a_wrong_account_is_one_clear_line_without_the_password(
    make: Callable[..., Wiring], rabbit: OwnRabbit
) -> None:
    for url, reason in ((rabbit.url_of("wrong pass"), "ACCESS_REFUSED"), (rabbit.url_of(PASSWORD, "no/ne"), "no/ne")):
        with pytest.raises(BrokerRefused, match=f"WILDTAG_BROKER_URL.*{reason}") as caught:
            make(url).publisher.reach()
        said = str(caught.value)
        assert "\n" not in said
        assert PASSWORD not in said
        assert "wrong pass" not in said


def test_a_certificate_is_checked(make: Callable[..., Wiring], rabbit: OwnRabbit, authority: Path) -> None:
    url = rabbit.url.replace("amqp://", "amqps://").replace(f":{rabbit.port}/", f":{rabbit.tls_port}/")
    trusting = make(url, broker_ca_file=authority / "ca.pem").publisher
    trusting.send("embedding", batch())
    assert trusting.queued("embedding") == 1
    with pytest.raises(BrokerRefused, match="WILDTAG_BROKER_CA_FILE"):
        make(url).publisher.reach()
    with pytest.raises(BrokerRefused, match="host name"):  # the certificate is for 127.0.0.1
        make(url.replace("@127.0.0.1:", "@localhost:"), broker_ca_file=authority / "ca.pem").publisher.reach()


def test_no_password_is_shown_to_monitors(make: Callable[..., Wiring]) -> None:
    connection = make().app.connection_for_read()
    assert connection.as_uri().startswith("amqp://wild:**@127.0.0.1:")
    assert PASSWORD not in f"{connection}{connection.info()['hostname']}{connection.info()['alternates']}"
