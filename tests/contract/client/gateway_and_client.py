"""A made-up gateway and a client of it, for the tests of the Python client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.made_up_gateway import MadeUpGateway, made_up_gateway
from workers.client import Client

CAT = b"image of a cat"


IMAGES = "/v1/images"


@pytest.fixture
def gateway() -> Iterator[MadeUpGateway]:
    with made_up_gateway() as made:
        yield made


@pytest.fixture
def client(gateway: MadeUpGateway) -> Iterator[Client]:
    with Client(gateway.url, "a-key", timeout=10, patience=10) as made:
        yield made
