"""The errors of the client.

===================  =========  ==========================================================================
error                branch     when
===================  =========  ==========================================================================
``Refused``          Permanent  an ``ApiError``: the same request will fail again
``Postponed``        Transient  an ``ApiError``: the gateway is busy, or a service behind it is unavailable
``Away``             Transient  the gateway is unreachable, or the connection broke
``NotFinished``      Transient  the image was not final in time; also a ``TimeoutError``
``StrangeAnswer``    Permanent  a response of success that is not of a wildtag gateway, or is cut off
===================  =========  ==========================================================================
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx
import msgspec

from vectordb.decoders import from_json
from vectordb.errors import Permanent, Transient, WildtagError
from workers.client.strangers import described

PREFIX = "urn:wildtag:problem:"
UNKNOWN = "about:blank"  # the type of errors that are not the gateway's
PASSING = frozenset({408, 425, 429, 502, 503, 504, 507})


class _Invalid(msgspec.Struct, frozen=True):
    """An invalid parameter or field."""

    where: str
    reason: str


class _Problem(msgspec.Struct, frozen=True):
    """A problem document (RFC 9457)."""

    type: str = UNKNOWN
    title: str = ""
    detail: str = ""
    errors: tuple[_Invalid, ...] = ()


class ApiError(WildtagError):
    """An error response. ``type``: a stable name, such as ``too-large``. ``retry_after``: seconds, if given.

    ``of_gateway``: false if something between sent it, such as a proxy; ``type`` is then ``about:blank``.
    """

    def __init__(
        self,
        detail: str,
        type: str,  # noqa: A002 -- the name in the document
        status: int,
        retry_after: float | None = None,
        *,
        of_gateway: bool = True,
    ) -> None:
        super().__init__(detail)
        self.of_gateway = of_gateway
        self.detail = detail
        self.type = type
        self.status = status
        self.retry_after = retry_after


class Refused(ApiError, Permanent):
    """Retrying does not help."""


class Postponed(ApiError, Transient):
    """The same request may succeed later."""


class Away(Transient):
    """The gateway is unreachable, or the connection broke."""

    code = "away"


class NotFinished(Transient, TimeoutError):
    """The image is not final yet."""

    code = "not-finished"


class StrangeAnswer(Permanent):
    """The response is not of a wildtag gateway."""

    code = "strange-answer"


def problem_of(answer: httpx.Response) -> ApiError:
    """The error of a response, from the gateway or from something between."""
    try:
        problem = from_json(answer.content, _Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = _Problem()
    of_gateway = problem.type.startswith(PREFIX) or bool(problem.detail and problem.errors)
    later = _seconds(answer.headers.get("Retry-After"), answer.headers.get("Date"))
    # a conflict with Retry-After is temporary: an equal request is in progress
    passing = answer.status_code in PASSING or (answer.status_code == HTTPStatus.CONFLICT and later is not None)
    error = Postponed if passing else Refused
    if not of_gateway:
        return error(described(answer), UNKNOWN, answer.status_code, later, of_gateway=False)
    detail = problem.detail or f"{answer.status_code} {problem.title or answer.reason_phrase}".rstrip()
    faults = [f"{invalid.where}: {invalid.reason}" for invalid in problem.errors]
    if more := [fault for fault in faults if fault not in detail]:  # the gateway's detail names the first ones
        detail += f" ({'; '.join(more)})"
    return error(detail, problem.type.removeprefix(PREFIX), answer.status_code, later)


def _seconds(retry_after: str | None, sent: str | None) -> float | None:
    """The seconds of a Retry-After header, which may be a date. ``sent``: when the server sent it, by its clock."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        now = parsedate_to_datetime(sent).timestamp() if sent else time.time()
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now)
    except (ValueError, TypeError):  # one of them may have no time zone
        return None
