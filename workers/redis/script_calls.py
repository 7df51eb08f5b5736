"""Calls scripts together with other commands in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoScriptError

Command = tuple[Any, ...]
"""A command of Redis with its arguments."""
Call = tuple[Sequence[Any], Sequence[Any]]
"""The keys and the arguments of a call."""


def call_together(client: Any, script: Any, calls: Sequence[Call], also: Sequence[Command] = ()) -> list[Any]:
    """Send commands, then calls of one registered script, in one round trip. Returns the answers to all, in order.

    redis-py's pipelines ask first whether the server knows their scripts, which is a round trip each time. Here a
    server that does not know the script gets it, and everything is sent once more. Raises redis-py's errors.
    """
    if not calls and not also:
        return []
    for last in (False, True):
        pipe = client.pipeline(transaction=False)
        for command in also:
            pipe.execute_command(*command)
        for keys, args in calls:
            pipe.evalsha(script.sha, len(keys), *keys, *args)
        try:
            answers: list[Any] = pipe.execute()
        except NoScriptError:
            if last:
                raise
            client.script_load(script.script)
        else:
            return answers
    raise AssertionError  # never reached
