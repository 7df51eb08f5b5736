"""Which captions an object may be tagged with, from when they were switched."""

from __future__ import annotations

from ops.chaos.captions import GRACE_S, Switches, Used


def switched(*used: Used) -> Switches:
    made = Switches(dict, ["a", "b"], "starter")
    made.used += used
    return made


def test_what_was_changed_before_a_switch_may_have_both_and_later_only_the_new_one() -> None:
    switches = switched(Used("a", 100.0, 105.0))
    assert switches.allowed(50.0) == {"starter", "a"}
    assert switches.allowed(105.0 + GRACE_S) == {"starter", "a"}
    assert switches.allowed(106.0 + GRACE_S) == {"a"}


def test_a_switch_of_which_nobody_knows_whether_it_was_done_allows_the_version_before() -> None:
    switches = switched(Used("a", 100.0, 105.0), Used("b", 200.0))
    assert switches.allowed(1000.0) == {"a", "b"}
