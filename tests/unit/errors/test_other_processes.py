"""Errors of another process, as the one that asked meets them, and as the gateway answers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vectordb.index import IndexFault, IndexMissing, WrongDimension
from workers.captions.teaching import EmptyCaption
from workers.errors.consequences import Consequence, of
from workers.gateway import problems
from workers.redis.keys import Keys
from workers.redis.rpc import RpcClient, RpcFailed, RpcPermanent, RpcTransient, answer_crashed, answering
from workers.stores.store import ObjectForbidden, ObjectGone, StoreAway


class List:
    """One list of Redis."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def pipeline(self) -> List:
        return self

    def rpush(self, _: str, value: bytes) -> None:
        self.values.append(value)

    def expire(self, *_: object) -> None:
        """Not within a test."""

    def execute(self) -> None:
        """It is done already."""

    def blpop(self, _: object, timeout: float) -> tuple[bytes, bytes]:  # noqa: ARG002 -- it is there
        return b"", self.values.pop()


def met(answer: Callable[[Any], object]) -> Exception:
    """The error that the caller meets."""
    redis: Any = List()
    answer(redis)
    sender: Any = None
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- which is what is asked
        RpcClient(sender, redis, Keys("test:")).take("request", 1)
    return caught.value


def failing(error: Exception) -> Callable[[Any], object]:
    def work() -> bytes:
        raise error

    return lambda redis: answering(redis, Keys("test:"), "request", work)


@pytest.mark.parametrize(
    ("error", "kind", "service", "status"),
    [
        (IndexMissing("the captions are damaged"), RpcTransient, "captions", 503),
        (IndexFault("no memory"), RpcTransient, "captions", 503),
        (WrongDimension("512, not 768"), RpcTransient, "captions", 503),
        (MemoryError(), RpcTransient, None, 503),
        (OSError(24, "too many open files"), RpcTransient, None, 503),
        (EmptyCaption("no text"), RpcPermanent, None, 400),
        (KeyError("bug"), RpcFailed, None, 500),
    ],
)
def test_an_error_keeps_what_follows_from_it(
    error: Exception, kind: type[Exception], service: str | None, status: int
) -> None:
    found = met(failing(error))
    assert type(found) is kind
    assert of(found).service == service
    assert problems.of(found).status == status
    if isinstance(found, RpcTransient):
        assert found.kind == type(error).__name__


def test_a_request_that_ended_its_worker_is_not_the_fault_of_nobody() -> None:
    found = met(lambda redis: answer_crashed(redis, Keys("test:"), "request", "it ended the process"))
    assert of(found).consequence is Consequence.BUG
    assert problems.of(found).status == 500


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (IndexMissing("none"), 503), (StoreAway("no answer"), 503), (MemoryError(), 503), (OSError(24, "many"), 503),
        (ObjectGone("gone"), 404), (ObjectForbidden("no"), 403), (EmptyCaption("no text"), 400), (KeyError("x"), 500),
    ],
)  # fmt: skip
def test_the_gateway_answers_by_the_same_table(error: Exception, status: int) -> None:
    assert problems.of(error).status == status
    if status == 503:
        assert problems.of(error).headers["Retry-After"]
