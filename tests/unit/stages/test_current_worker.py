"""A worker process makes its stages anew for another encoder, and ends for another layout."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import Reject

from workers.redis.connection import StoreUnavailable
from workers.redis.encoders import EncoderChanged
from workers.redis.layout import OtherLayout
from workers.stages.current_worker import CurrentWorker


def test_stages_are_made_anew_once_after_the_messages_in_progress() -> None:
    said: list[str] = []
    answers: list[Any] = ["", "", "new", StoreUnavailable("away"), "new"]

    def look() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    def make() -> Any:
        said.append("made")
        return SimpleNamespace(overlap=SimpleNamespace(settle=lambda: said.append("settled"))), lambda: said.append(
            "closed"
        )

    current = CurrentWorker(make, look)
    workers = [current() for _ in range(5)]
    assert said == ["made", "settled", "closed", "made"]
    assert workers[0] is workers[1] is not workers[2]
    assert workers[2] is workers[3] is workers[4]


@pytest.mark.parametrize("fault", [OtherLayout("version 9"), EncoderChanged("it prepares no more")])
def test_the_message_returns_and_the_worker_ends_when_it_is_of_no_use_any_more(fault: Exception) -> None:
    ended: list[bool] = []

    def look() -> str:
        raise fault

    with pytest.raises(Reject) as raised:
        CurrentWorker(lambda: pytest.fail("nothing is made"), look, lambda: ended.append(True))()
    assert raised.value.requeue  # type: ignore[attr-defined]  # the stubs of Celery lack it
    assert ended == [True]
