"""A gateway for each module of tests, with an empty Redis and an empty bucket for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.gateway.running import Running, emptied, running, wired
from workers.monitoring.meter import METER

LIMIT = 600_000  # bytes of an image


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of a module with ``PARTITIONS`` are run with each of these numbers of partitions."""
    numbers = getattr(metafunc.module, "PARTITIONS", None)
    if numbers is not None and "partitions" in metafunc.fixturenames:
        metafunc.parametrize("partitions", numbers, indirect=True, scope="module")


@pytest.fixture(scope="session", autouse=True)
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """As the process of a gateway does, this one counts."""
    METER.begin(tmp_path_factory.mktemp("metrics"))
    yield
    METER.end()


@pytest.fixture(scope="module")
def partitions(request: pytest.FixtureRequest) -> int:
    """Over how many the objects are spread."""
    return int(getattr(request, "param", 1))


@pytest.fixture(scope="module")
def module_gateway(redis_url: str, tmp_path_factory: pytest.TempPathFactory, partitions: int) -> Iterator[Running]:
    prefix = "test:" if partitions == 1 else "{test}:"
    wiring = wired(
        tmp_path_factory.mktemp("home"), redis_url, max_object_bytes=LIMIT, key_prefix=prefix, partitions=partitions
    )
    with running(wiring, body_patience_s=0.5) as gateway:
        yield gateway


@pytest.fixture
def gateway(module_gateway: Running) -> Running:
    """A gateway on the loopback address, without keys, over an empty Redis and an empty folder."""
    emptied(module_gateway)
    return module_gateway
