"""The ledger and the records of an empty Redis."""

from __future__ import annotations

import pytest

from workers.lifecycle.ledger import Ledger
from workers.lifecycle.record_reader import Records
from workers.redis.connection import Client
from workers.redis.keys import Keys


@pytest.fixture
def ledger(client: Client, keys: Keys) -> Ledger:
    return Ledger(client, keys, feed_length=100)


@pytest.fixture
def records(client: Client, keys: Keys) -> Records:
    return Records(client, keys)
