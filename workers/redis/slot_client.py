"""Clients for the keys of one slot of a Redis Cluster.

They are redis-py's clients of a single server, whose connections lead to the node that serves the slot. So pipelines,
transactions, scripts, scans and blocking commands are those of a single server.

While a slot is moved key by key, its node answers ASK for keys that it does not have, and TRYAGAIN where it has only
some. Single commands, alone or in a pipeline, are then sent to the other node. Transactions with such keys are
refused, and so are all scripts: each gets one key more, which never exists, so that the nodes refuse it before its
first command. Without that key a script could end in the middle, at a key that is on the other node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.client import Pipeline as AsyncPipeline
from redis.client import Pipeline
from redis.exceptions import AskError, MovedError, ResponseError

from workers.redis.slot_owner import SlotOwner

SCRIPTS = frozenset({"EVAL", "EVALSHA"})
SCANS = frozenset({"SCAN", "HSCAN", "SSCAN", "ZSCAN"})  # their cursors are those of one node
CURSORS = 1000  # of scans that have not ended, which are remembered
MOVED = "the keys were moved to another node while they were read"
STRIP = "KEYS[#KEYS] = nil "  # begins every script: the key that never exists is none of its own


class Slot:
    """What the clients of one slot share. ``absent``: the key that never exists."""

    def __init__(self, owner: SlotOwner, absent: str, patience_s: float) -> None:
        self.owner = owner
        self._absent = absent
        self._patience_s = patience_s
        self._cursors: dict[tuple[Any, ...], int] = {}

    def guarded(self, command: Sequence[Any]) -> Sequence[Any]:
        """A command as it is sent: a script with one key more."""
        if str(command[0]).upper() not in SCRIPTS:
            return command
        name, script, count, *rest = command
        if name.upper() == "EVAL":
            script = STRIP + script
        keys = int(count)
        return (name, script, keys + 1, *rest[:keys], self._absent, *rest[keys:])

    def asked(self, error: AskError, command: Sequence[Any], options: dict[str, Any]) -> Any:
        """Send a command to the node that has its keys already. Raises ``error`` if that must not be done."""
        if isinstance(error, MovedError) or str(command[0]).upper() in SCRIPTS | SCANS:
            raise error
        client = self.owner.plain((error.host, error.port), self._patience_s)
        try:
            pipe = client.pipeline(transaction=False)
            pipe.execute_command("ASKING")  # type: ignore[no-untyped-call]  # redis-py's
            pipe.execute_command(*command, **options)  # type: ignore[no-untyped-call]  # as above
            return pipe.execute()[1]
        except MovedError as exc:  # moved meanwhile, or not at all: the next try finds out
            raise error from exc
        finally:
            client.close()

    def passed(self, command: Sequence[Any]) -> int:
        """Before a step of a scan: how often the slot was moved. Raises ``ConnectionError`` if the cursor is old."""
        cursor, moves = int(_cursor(command)), self.owner.moves
        if cursor and self._cursors.get((*_scanned(command), cursor)) != moves:
            raise redis.ConnectionError(MOVED)
        return moves

    def went_on(self, command: Sequence[Any], moves: int, cursor: int) -> None:
        """After a step: keep its cursor. Raises ``ConnectionError`` if the slot was moved since the scan began."""
        if int(_cursor(command)) and self.owner.moves != moves:
            raise redis.ConnectionError(MOVED)
        if cursor:
            self._cursors[(*_scanned(command), cursor)] = self.owner.moves
            while len(self._cursors) > CURSORS:
                del self._cursors[next(iter(self._cursors))]


def _cursor(command: Sequence[Any]) -> Any:
    return command[1] if _scanned(command)[0] == "SCAN" else command[2]


def _scanned(command: Sequence[Any]) -> tuple[Any, ...]:
    """What is scanned: all keys, or one of them."""
    name = str(command[0]).upper()
    return (name,) if name == "SCAN" else (name, command[1])


class SlotClient(redis.Redis):
    """A client for the keys of one slot."""

    slot: Slot

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """See redis-py."""
        if str(args[0]).upper() in SCANS:
            return self._scan(args, options)
        try:
            return super().execute_command(*self.slot.guarded(args), **options)  # type: ignore[no-untyped-call]  # as above
        except AskError as exc:
            return self.slot.asked(exc, args, options)

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:  # noqa: FBT001, FBT002 -- redis-py's
        """See redis-py."""
        pipe = SlotPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipe.slot = self.slot
        return pipe

    def register_script(self, script: Any) -> Any:
        """See redis-py."""
        return super().register_script(STRIP + script)

    def _scan(self, command: Sequence[Any], options: dict[str, Any]) -> Any:
        """A step of a scan. The keys must be on one node before it, and all keys also after it."""
        everything = str(command[0]).upper() == "SCAN"
        moves = self.slot.passed(command)
        if everything:
            self.eval("return 1", 0)
        answer = super().execute_command(*command, **options)  # type: ignore[no-untyped-call]  # as above
        if everything:
            self.eval("return 1", 0)
        self.slot.went_on(command, moves, int(answer[0]))
        return answer


class SlotPipeline(Pipeline):
    """A pipeline of a ``SlotClient``."""

    slot: Slot

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """See redis-py."""
        return super().execute_command(*self.slot.guarded(args), **options)  # type: ignore[no-untyped-call]  # as above

    def _execute_pipeline(self, connection: Any, commands: Any, raise_on_error: bool) -> list[Any]:  # noqa: FBT001 -- redis-py's
        answers = list(super()._execute_pipeline(connection, commands, raise_on_error=False))  # type: ignore[no-untyped-call]  # as above
        for place, (args, options) in enumerate(commands):
            if isinstance(answers[place], AskError):
                answers[place] = _result(self.slot, answers[place], args, options)
        if raise_on_error:
            self.raise_first_error(commands, answers)  # type: ignore[no-untyped-call]  # as above
        return answers


class AsyncSlotClient(redis.asyncio.Redis):
    """The same for an event loop. Scans and scripts are not used there."""

    slot: Slot

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """See redis-py."""
        try:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # as above
        except AskError as exc:
            return await asyncio.to_thread(self.slot.asked, exc, args, options)

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> AsyncPipeline:  # noqa: FBT001, FBT002 -- redis-py's
        """See redis-py."""
        pipe = AsyncSlotPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipe.slot = self.slot
        return pipe


class AsyncSlotPipeline(AsyncPipeline):
    """A pipeline of an ``AsyncSlotClient``."""

    slot: Slot

    async def _execute_pipeline(self, connection: Any, commands: Any, raise_on_error: bool) -> Any:  # noqa: FBT001 -- redis-py's
        answers = list(await super()._execute_pipeline(connection, commands, raise_on_error=False))
        for place, (args, options) in enumerate(commands):
            if isinstance(answers[place], AskError):
                answers[place] = await asyncio.to_thread(_result, self.slot, answers[place], args, options)
        if raise_on_error:
            self.raise_first_error(commands, answers)
        return answers


def _result(slot: Slot, error: AskError, command: Sequence[Any], options: dict[str, Any]) -> Any:
    """The answer of the other node, or the error, as in the answers of a pipeline."""
    try:
        return slot.asked(error, command, options)
    except ResponseError as exc:
        return exc
