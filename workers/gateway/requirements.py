"""What a route declares on its endpoint or its dependencies: the scope it needs, and what its requests count as.

``workers.gateway.entry`` enforces both before it reads a body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from workers.gateway.api_keys import Scope
from workers.gateway.rate_limits import Kind

_SCOPE, _KIND = "__wildtag_scope__", "__wildtag_kind__"
Endpoint = TypeVar("Endpoint", bound=Callable[..., object])


def needs(scope: Scope, kind: Kind = Kind.REQUEST) -> Callable[[Endpoint], Endpoint]:
    """Declares the scope that a route needs, and what its requests count as."""

    def declared(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _SCOPE, scope)
        setattr(endpoint, _KIND, kind)
        return endpoint

    return declared


def needed_by(functions: Iterable[object]) -> Scope | None:
    """The highest scope that these functions declare; ``None`` if they declare none."""
    return max((scope for f in functions if (scope := getattr(f, _SCOPE, None)) is not None), default=None)


def counted_as(functions: Iterable[object]) -> Kind:
    """What requests of a route with these functions count as."""
    kinds = (getattr(f, _KIND, Kind.REQUEST) for f in functions)
    return next((kind for kind in kinds if kind is not Kind.REQUEST), Kind.REQUEST)
