"""What is known of a route before a request's body is read: its scope, its parameters, and the limit of its body.

All of it is derived from the routes, so a new route has the rules too.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from workers.gateway.api_keys import Scope
from workers.gateway.problems import Problem
from workers.gateway.rate_limits import Kind
from workers.gateway.requirements import counted_as, needed_by

SMALL = 2**14  # bytes of a body, for most routes
LARGER: Mapping[str, int] = {
    "/v1/batches": 4 * 2**20,  # 10,000 keys
    "/v1/captions": 2 * 2**20,  # 100 captions of 1,000 characters, escaped
}
RENAMED = {"way": "method"}  # query parameters of earlier versions
PARAMETERS = 200  # in one query


class Rule:
    """The rules of one route.

    ``scope``: ``None`` if the route needs no key. ``kind``: what its requests count as. ``limit``: maximum bytes of a
    JSON body, which is read at once; ``None`` if the route reads its body itself, or none.
    """

    def __init__(self, route: APIRoute) -> None:
        functions = [route.endpoint, *_calls(route.dependant)]
        self.scope: Scope | None = needed_by(functions)
        self.kind: Kind = counted_as(functions)
        self.limit = LARGER.get(route.path, SMALL) if route.body_field is not None else None
        self._path = route.path_regex
        self._methods = frozenset(route.methods or ())
        fields = [field for one in _all(route.dependant) for field in one.query_params]
        self._listed = {field.alias: _is_list(field) for field in fields}

    def matches(self, method: str, path: str) -> bool:
        """Whether this route serves the request."""
        return method in self._methods and self._path.match(path) is not None

    def methods_of(self, path: str) -> frozenset[str]:
        """The methods with which this route serves a path."""
        return self._methods if self._path.match(path) is not None else frozenset()

    def check_query(self, query: bytes) -> None:
        """Raises ``Problem`` for parameters that the route does not have, and for one that is given twice."""
        if query:
            check_query(query, self._listed)


def rules(routes: Iterable[object]) -> list[Rule]:
    """The rules of these routes, in the same order."""
    return [Rule(route) for route in routes if isinstance(route, APIRoute)]


def check_query(query: bytes, listed: Mapping[str, bool]) -> None:
    """Raises ``Problem`` unless the query has only these parameters.

    ``listed``: by name, whether it may be repeated.
    """
    try:
        given = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=PARAMETERS)
    except ValueError as exc:
        raise _invalid([("query", f"more than {PARAMETERS} parameters")]) from exc
    errors, seen = [], set()
    for name, _ in given:
        if name not in listed and (renamed := RENAMED.get(name)) in listed:
            raise Problem("bad-request", f"the query parameter {name} has been renamed: use {renamed}")
        if name not in listed:
            errors.append((f"query.{name[:100]}", _unknown(name, listed)))
        elif name in seen and not listed[name]:
            errors.append((f"query.{name}", "given more than once"))
        seen.add(name)
    if errors:
        raise _invalid(list(dict.fromkeys(errors)))


def _unknown(name: str, known: Mapping[str, bool]) -> str:
    plain = {re.sub(r"[^a-z0-9]", "", one.lower()): one for one in known}
    near = difflib.get_close_matches(re.sub(r"[^a-z0-9]", "", name[:100].lower()), plain, 1)
    if near:
        return f"unknown parameter; did you mean {plain[near[0]]}?"
    return f"unknown parameter; this route has {', '.join(known) or 'none'}"


def _invalid(errors: list[tuple[str, str]]) -> Problem:
    shown = [{"where": where, "reason": reason} for where, reason in errors[:20]]
    return Problem("invalid", "; ".join(f"{where}: {reason}" for where, reason in errors[:3]), errors=shown)


def _all(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for one in dependant.dependencies:
        yield from _all(one)


def _calls(dependant: Dependant) -> Iterator[object]:
    return (one.call for one in _all(dependant))


def _is_list(field: Any) -> bool:
    return getattr(field.field_info.annotation, "__origin__", None) is list
