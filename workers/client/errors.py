"""What can go wrong between a client and the gateway.

===================  =========  ==========================================================================
error                branch     when
===================  =========  ==========================================================================
``Refused``          Permanent  an ``ApiError``: the same request will be refused again
``Postponed``        Transient  an ``ApiError``: too much at once, or something behind the gateway is away
``Away``             Transient  the gateway cannot be reached, or the connection broke
``NotFinished``      Transient  an image was not final in time; also a ``TimeoutError``
``StrangeAnswer``    Permanent  whatever answers there is no gateway of wildtag
===================  =========  ==========================================================================
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx
import msgspec

from vectordb.errors import Permanent, Transient, WildtagError

PREFIX = "urn:wildtag:problem:"
PASSING = frozenset({408, 425, 429, 502, 503, 504})


class _Invalid(msgspec.Struct, frozen=True):
    """A parameter or field that is not as it should be."""

    where: str
    reason: str


class _Problem(msgspec.Struct, frozen=True):
    """A problem document (RFC 9457)."""

    type: str = "about:blank"
    title: str = ""
    detail: str = ""
    errors: tuple[_Invalid, ...] = ()


class ApiError(WildtagError):
    """The gateway said no. ``type``: a stable name, as ``too-large``; ``retry_after``: seconds, if it said when."""

    def __init__(
        self,
        detail: str,
        type: str,  # noqa: A002 -- the document's own word
        status: int,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.type = type
        self.status = status
        self.retry_after = retry_after


class Refused(ApiError, Permanent):
    """Trying again changes nothing."""


class Postponed(ApiError, Transient):
    """The same request may be answered later."""


class Away(Transient):
    """Nobody answers there, or not to the end."""

    code = "away"


class NotFinished(Transient, TimeoutError):
    """The image is still on its way."""

    code = "not-finished"


class StrangeAnswer(Permanent):
    """It cannot be read as an answer of the gateway."""

    code = "strange-answer"


def problem_of(answer: httpx.Response) -> ApiError:
    """The error that an answer stands for, whoever wrote it: the gateway, or a proxy on the way."""
    try:
        problem = msgspec.json.decode(answer.content, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = _Problem()
    phrase = problem.title or answer.reason_phrase
    later = _seconds(answer.headers.get("Retry-After"))
    # a conflict passes when the gateway says so: the first of two equal requests is still at work
    passing = answer.status_code in PASSING or (answer.status_code == HTTPStatus.CONFLICT and later is not None)
    error = Postponed if passing else Refused
    detail = problem.detail or f"{answer.status_code} {phrase}".rstrip()
    if problem.errors:
        detail += f" ({'; '.join(f'{invalid.where}: {invalid.reason}' for invalid in problem.errors)})"
    return error(detail, problem.type.removeprefix(PREFIX), answer.status_code, later)


def _seconds(retry_after: str | None) -> float | None:
    """What Retry-After says, which may be a date."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
