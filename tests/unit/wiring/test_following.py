"""What follows the encoder in use serves on while that is changed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from tests.eventually import eventually
from vectordb.errors import Permanent
from workers.redis.encoders import ChosenEncoder
from workers.wiring import following as module
from workers.wiring.following import CurrentWiring, following, read_ahead
from workers.wiring.wiring import Wiring


class Current:
    """A ``CurrentWiring`` that is told what is in use."""

    def __init__(self) -> None:
        self.wiring = cast("Wiring", object())

    def __call__(self) -> Wiring:
        return self.wiring

    def replaced(self, wiring: Wiring) -> bool:
        return self.wiring is not wiring


class Search:
    def __init__(self, wiring: Wiring, current: Current) -> None:
        self.wiring, self.current = wiring, current

    def find(self, query: str, *, change: Any = None) -> tuple[Wiring, str]:
        if change is not None:
            self.current.wiring = change
        if self.current.wiring is not self.wiring and query != "late":
            raise Permanent("the captions are of another space")
        if query == "bad":
            raise Permanent("bad query")
        return self.wiring, query


def test_a_call_during_the_change_is_repeated_for_the_other_encoder_and_others_are_not() -> None:
    current = Current()
    search = following(cast("CurrentWiring", current), lambda wiring: Search(wiring, current))
    find = search.find
    assert find("a") == (current.wiring, "a")
    other = cast("Wiring", object())
    assert find("a", change=other) == (other, "a")
    assert find("b") == (other, "b")
    third = cast("Wiring", object())
    assert find("late", change=third) == (third, "late")  # what was found with the one before is not answered
    with pytest.raises(Permanent, match="bad query"):
        find("bad")


def test_the_library_of_an_encoder_that_prepares_is_imported_before_it_is_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []
    monkeypatch.setattr(module, "read_ahead", lambda change: read.append(change.space))
    change, clock = ChosenEncoder("new/model", "auto", "new-1", "old-1", 0.0), [0.0]
    encoders = SimpleNamespace(look=lambda: "", change=lambda: change)
    current = CurrentWiring(cast("Wiring", SimpleNamespace(encoders=encoders)), lambda: clock[0])
    for _ in range(30):
        clock[0] += 1.0
        current()
    eventually(lambda: read)
    assert read == ["new-1"]


def test_an_encoder_that_cannot_be_read_here_is_told_before_it_is_in_use() -> None:
    with capture_logs() as logs:
        read_ahead(ChosenEncoder("/no/folder/of/a/model", "auto", "new-1", "old-1", 0.0))
        read_ahead(ChosenEncoder("bundled", "auto", "new-1", "old-1", 0.0))
    assert ["cannot be read" in line["event"] for line in logs] == [True, False]
