"""A form with several files when the store or Redis fails in the middle: nothing of it stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.gateway.running import emptied, problem, running, wired
from tests.contract.gateway.test_forms import LARGE, SMALL, form, sent, taken
from tests.contract.gateway.test_uploads import nothing_left
from tests.eventually import eventually
from workers.lifecycle.inbox import Inbox
from workers.redis.connection import Client, StoreUnavailable
from workers.stores.store import ObjectInfo, StoreAway


class Failing:
    """A store or an inbox that fails at the nth call of one of its methods, then works again."""

    def __init__(
        self, of: Any, name: str, nth: int, error: Exception, until: Callable[[], bool] | None = None
    ) -> None:
        self._of = of
        self._name = name
        self._left = nth
        self._error = error
        self._away = until

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._of, name)
        if name == "remove" and self._left <= 0 and self._away is not None and self._away():
            return self._fails
        if name != self._name:
            return real
        self._left -= 1
        return self._fails if self._left == 0 else real

    def _fails(self, *_: object) -> ObjectInfo:
        raise self._error


@pytest.mark.parametrize("images", [[*SMALL, *LARGE], [*LARGE, *SMALL]], ids=["small first", "large first"])
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_a_store_that_fails_in_the_middle_keeps_nothing(
    redis_url: str, tmp_path: Path, client: Client, images: list[bytes], nth: int
) -> None:
    wiring = wired(tmp_path, redis_url)
    store: Any = Failing(wiring.store, "put", nth, StoreAway("gone"))
    with running(wiring, replaced={"store": store}) as gateway:
        emptied(gateway)
        answer = sent(gateway, form(*images), {"Idempotency-Key": "k"})
        assert (answer.status_code, problem(answer)) == (503, "unavailable")
        nothing_left(gateway, client)
        emptied(gateway)
        assert len(taken(gateway, sent(gateway, form(*images), {"Idempotency-Key": "k"}))) == 4


def test_what_cannot_be_removed_during_an_outage_is_removed_after_it(redis_url: str, tmp_path: Path) -> None:
    wiring, away = wired(tmp_path, redis_url), [True]
    store: Any = Failing(wiring.store, "put", 3, StoreAway("gone"), lambda: away[0])
    with running(wiring, replaced={"store": store}) as gateway:
        emptied(gateway)
        assert sent(gateway, form(*SMALL, *LARGE)).status_code == 503
        assert len(gateway.stored()) == 2  # nobody can reach the store
        away.clear()
        away.append(False)
        eventually(lambda: not gateway.stored())


def test_events_that_cannot_be_written_leave_nothing(redis_url: str, tmp_path: Path, client: Client) -> None:
    wiring = wired(tmp_path, redis_url)
    inbox: Any = Failing(wiring.inbox, "append", 1, StoreUnavailable("gone"))
    with running(wiring, replaced={"inbox": inbox}) as gateway:
        emptied(gateway)
        assert sent(gateway, form(*LARGE)).status_code == 503
        assert isinstance(wiring.inbox, Inbox)
        nothing_left(gateway, client)


def test_a_presigned_form_that_is_sent_again_after_a_fault_keeps_its_image(redis_url: str, tmp_path: Path) -> None:
    """Both attempts have one key, so what the first may have left must not be removed later."""
    wiring, away = wired(tmp_path, redis_url), [True]
    once: Any = Failing(wiring.store, "put", 1, StoreAway("gone"))
    store: Any = Failing(once, "put", 4, StoreAway("gone"), lambda: away[0])
    with running(wiring, replaced={"store": store}) as gateway:
        emptied(gateway)
        slot = gateway.http.post("/v1/uploads", json={"content_type": "image/png"}).json()
        assert gateway.http.post(slot["url"], files={"file": SMALL[0]}).status_code == 503
        assert gateway.http.post(slot["url"], files={"file": SMALL[0]}).status_code == 204
        assert sent(gateway, form(*SMALL)).status_code == 503
        assert len(gateway.stored()) == 2  # one of the form, which is removed later
        away[0] = False
        eventually(lambda: len(gateway.stored()) < 2)
        assert gateway.http.get(f"/v1/images/{slot['id']}").json()["state"] == "queued"
