"""A server that receives webhooks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made
