"""Chooses the log lines of a request and of its objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workers.telemetry.parsing import mentions, parsed


class Selection:
    """Lines of a request, of an object (``BUCKET/KEY``, or its key), or of both if both are given."""

    def __init__(self, request: str | None, oid: str | None) -> None:
        self._request = request
        self._oid = oid
        self._objects: set[str] = set()

    def learn(self, lines: Iterable[str]) -> None:
        """Note which objects the request has."""
        if self._request is None:
            return
        for line in lines:
            if self._request in line:
                fields = parsed(line)
                if isinstance(fields.get("object"), str) and fields.get("request") == self._request:
                    self._objects.add(fields["object"])

    def has(self, line: str) -> bool:
        """Whether a line is chosen. Notes its object, if it is one of the request."""
        self.learn([line])
        return self.time_of(line) is not None

    def time_of(self, line: str) -> str | None:
        """The time of a line that is chosen, ``None`` for another one."""
        fields = parsed(line)
        if not fields:
            return None
        of_request = self._request is None or mentions(fields, "request", self._request)
        of_request = of_request or fields.get("object") in self._objects
        return str(fields.get("timestamp", "")) if of_request and self._of_object(fields) else None

    def _of_object(self, fields: dict[str, Any]) -> bool:
        named = fields.get("object")
        return self._oid is None or (
            isinstance(named, str) and (named == self._oid or named.partition("/")[2] == self._oid)
        )
