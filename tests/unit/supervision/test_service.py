"""Services: which can be started at all, in which order, and how long a failing one rests."""

from __future__ import annotations

import pytest

from workers.supervision.service import BadService, Service, check_order, levels_below, restart_delay


def service(name: str, *after: str, critical: bool = True) -> Service:
    return Service(name, ("true",), lambda: True, after=after, critical=critical)


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


def test_what_must_still_stop_is_counted_along_the_longest_way() -> None:
    services = {s.name: s for s in (service("redis"), service("w", "redis"), service("d", "w", "redis"))}
    check_order(services.values())
    assert [levels_below(name, services) for name in ("redis", "w", "d")] == [0, 1, 2]
