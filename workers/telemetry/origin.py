"""Ids of requests, and the context in which a request is handled."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from typing import NamedTuple

from tasks.message_parts import ObjectRef

VALID = re.compile(r"[A-Za-z0-9._:+/=@-]{1,128}")
"""Ids of requests that are taken over: those of proxies, such as UUIDs."""
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class RequestContext(NamedTuple):
    """``id``: of the request. ``traceparent``: what its client sent as such (W3C Trace Context); empty without."""

    id: str
    traceparent: str = ""


_NONE = RequestContext("")
current: ContextVar[RequestContext] = ContextVar("wildtag_request", default=_NONE)
"""The request that is handled."""


def request_id(given: str | None) -> str:
    """The id of a request: the given one if it is valid, else a new one."""
    return given if given is not None and VALID.fullmatch(given) else secrets.token_hex(8)


def traceparent(given: str | None) -> str:
    """A valid ``traceparent``; empty for anything else."""
    return given if given is not None and _TRACEPARENT.fullmatch(given) else ""


def sampled(given: str) -> bool:
    """Whether a ``traceparent`` says that its trace is recorded."""
    return bool(given) and bool(int(given[-2:], 16) & 1)


def of_request(ref: ObjectRef) -> dict[str, str]:
    """The fields of a log line that name the request of an object, if there is one."""
    return {"request": ref.request} if ref.request else {}
