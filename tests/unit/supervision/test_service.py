"""Services: which can be started at all, in which order, and how long a failing one rests."""

from __future__ import annotations

import pytest

from workers.supervision.service import BadService, Service, check_order, restart_delay, stop_share


def service(name: str, *after: str, critical: bool = True, stops: float = 3.0) -> Service:
    return Service(name, ("true",), lambda: True, after=after, critical=critical, stop_timeout=stops)


def test_rests_double_up_to_thirty_seconds() -> None:
    assert [restart_delay(failures) for failures in (1, 2, 3, 4, 7, 8, 1000)] == [0.5, 1, 2, 4, 30, 30, 30]


@pytest.mark.parametrize("name", ["", "../up", "a/b", "Über", ".hidden", "two words"])
def test_a_name_must_be_fit_for_a_log_file(name: str) -> None:
    with pytest.raises(BadService):
        service(name)


@pytest.mark.parametrize(
    ("services", "reason"),
    [
        ((service("a"), service("a")), "two services"),
        ((service("a", "b"),), "no such service"),
        ((service("a", "b"), service("b", "c"), service("c", "a")), "wait for each other"),
        ((service("a", "b"), service("b", critical=False)), "critical"),
    ],
)
def test_an_impossible_order_is_refused(services: tuple[Service, ...], reason: str) -> None:
    with pytest.raises(BadService, match=reason):
        check_order(services)


def test_the_time_to_stop_is_shared_by_the_longest_chain() -> None:
    chain = (service("redis", stops=4), service("w", "redis", stops=10), service("d", "w", "redis", stops=2))
    services = {s.name: s for s in chain}
    assert [stop_share(name, 8.0, services) for name in ("redis", "w", "d")] == [4.0, 8 * 10 / 14, 8 * 2 / 16]
    assert stop_share("w", 100.0, services) == 10.0
