"""Scripts that are called together with other commands."""

from __future__ import annotations

import pytest
from redis.exceptions import ResponseError

from workers.redis.connection import Client
from workers.redis.script_calls import call_together

ADD = "return redis.call('INCRBY', KEYS[1], ARGV[1])"


def test_all_are_answered_in_order_also_by_a_server_that_does_not_know_the_script(client: Client) -> None:
    script = client.register_script(ADD)
    for expected in (3, 6):
        client.script_flush()
        calls = [(["a"], [1]), (["a"], [2])]
        assert call_together(client, script, calls, [("SET", "b", "x"), ("GET", "b")]) == [
            True, b"x", expected - 2, expected,
        ]  # fmt: skip
    assert call_together(client, script, []) == []


def test_errors_of_a_script_are_raised(client: Client) -> None:
    client.set("a", "no number")
    with pytest.raises(ResponseError, match="not an integer"):
        call_together(client, client.register_script(ADD), [(["a"], [1])])
