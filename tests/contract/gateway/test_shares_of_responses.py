"""Responses that take long have places. One API key cannot occupy all of them: another one still gets in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.contract.gateway.running import Running, png, problem, running, wired
from tests.eventually import eventually
from workers.gateway.api_keys import Scope
from workers.gateway.originals import AT_ONCE

STREAMS = 6
LARGE = 24 * 2**20  # more than the buffers of a connection
ORIGINAL = "/v1/objects/inbox/large.png:content"


@pytest.fixture(scope="module")
def gateway(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    wiring = wired(tmp_path_factory.mktemp("home"), redis_url, key_required=True)
    wiring.redis.flushall()
    wiring.api_keys.create("first", Scope.ADMIN)
    with running(wiring, streams_max=STREAMS) as gateway:
        gateway.tagged("large.png", "cat")
        (gateway.folder / "large.png").write_bytes(png("large", LARGE))
        gateway.enter(gateway.put("waiting.png"))
        yield gateway


def greedy(
    gateway: Running, path: str, headers: dict[str, str], most: int, held: ExitStack
) -> tuple[int, httpx.Response]:
    """Ask until one request is refused; gives the number of open responses, and the refusal."""
    for count in range(most + 1):
        answer = held.enter_context(gateway.http.stream("GET", path, headers=headers))
        if answer.status_code != 200:
            answer.read()
            return count, answer
    raise AssertionError(f"{most + 1} are open")


@pytest.mark.parametrize(
    ("path", "most"), [("/v1/feed", STREAMS), ("/v1/objects/inbox/waiting.png:events", STREAMS), (ORIGINAL, AT_ONCE)]
)
@pytest.mark.parametrize("scope", [Scope.READ, Scope.ADMIN])
def test_one_key_leaves_places_to_others(gateway: Running, path: str, most: int, scope: Scope) -> None:
    names = [f"{path.rpartition('/')[2].replace(':', '.')} {scope.label} {number}" for number in range(2)]
    one, other = ({"Authorization": f"Bearer {gateway.wiring.api_keys.create(name, scope)}"} for name in names)
    with ExitStack() as held:
        count, refused = greedy(gateway, path, one, most, held)
        assert (count, refused.status_code, problem(refused)) == (most // 2, 429, "too-many")
        assert "its share" in refused.json()["detail"]
        assert held.enter_context(gateway.http.stream("GET", path, headers=other)).status_code == 200

    def free() -> bool:
        with gateway.http.stream("GET", path, headers=one) as answer:
            return answer.status_code == 200

    eventually(free)


def test_the_sessions_of_a_key_have_one_share(gateway: Running) -> None:
    key = gateway.wiring.api_keys.create("page", Scope.READ)
    with ExitStack() as held:
        count, _ = greedy(gateway, "/v1/feed", {"Authorization": f"Bearer {key}"}, STREAMS, held)
        assert count == STREAMS // 2
        by_page = held.enter_context(
            gateway.http.stream("GET", "/v1/feed", headers={"Cookie": gateway.signed_in(key)})
        )
        assert by_page.status_code == 429
