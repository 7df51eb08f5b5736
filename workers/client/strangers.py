"""Recognises responses that are not the gateway's: of a proxy, a login page, a captive portal, or another server."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

import httpx

JSON = "application/json"
EVENTS = "text/event-stream"
TEXT = "text/plain"
SHOWN = 200  # maximum characters of an address that a response names

_HINTS = {
    400: "if it expects HTTPS, use a URL that begins with https://",
    401: "it asks for a sign-in of its own",
    403: "it refuses the request",
    404: "there is no gateway at this URL: check its host, port and path",
    405: "there is no gateway at this URL: check its host, port and path",
    407: "the proxy of the environment asks for a user and a password",
    408: "it did not wait for the whole request",
    413: "it accepts no request of this size (of nginx, raise client_max_body_size)",
    414: "it accepts no URL of this length",
    429: "it limits the rate of requests",
    431: "it accepts no headers of this size",
    502: "it cannot reach the gateway",
    503: "it cannot reach the gateway",
    504: "it got no response of the gateway in time",
    511: "the network asks for a sign-in: open a page in a browser",
}


def unlike(answer: httpx.Response, expected: Collection[str]) -> str | None:
    """What is wrong with the content type of a response of success; ``None`` if it is an expected one or missing."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not kind or kind in expected:
        return None
    hint = "; a login page or a captive portal may be in between" if kind == "text/html" else ""
    return f"{named(answer)} and has the type {kind[:SHOWN]!r}{hint}"


def described(answer: httpx.Response) -> str:
    """An error response, or a redirect, in one line: its status, where it is from, and what may help."""
    if answer.has_redirect_location:
        return f"{named(answer)}: {_redirect(answer)}"
    hint = _HINTS.get(answer.status_code)
    return f"{named(answer)}: {hint}" if hint else named(answer)


def named(answer: httpx.Response) -> str:
    """The status of a response, and that the gateway did not send it."""
    server = printable(answer.headers.get("Server", ""), 60)
    return f"{status(answer)}: this response is not of a wildtag gateway{f', but of {server}' if server else ''}"


def status(answer: httpx.Response) -> str:
    """Such as ``502 Bad Gateway``."""
    try:
        phrase = answer.reason_phrase or HTTPStatus(answer.status_code).phrase
    except ValueError:
        phrase = ""
    return f"{answer.status_code} {printable(phrase, 60)}".rstrip()


def printable(text: str, most: int = SHOWN) -> str:
    """A text of a stranger, in one line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:most]


def _redirect(answer: httpx.Response) -> str:
    asked = str(answer.url)
    place = urljoin(asked, answer.headers["Location"])
    try:
        before, after = urlsplit(asked), urlsplit(place)
        same = (before.hostname, before.path, before.query) == (after.hostname, after.path, after.query)
    except ValueError:
        same = False
    if same and (before.scheme, after.scheme) == ("http", "https"):
        return f"it wants HTTPS: use a URL that begins with https://{printable(after.netloc)}"
    # without the query, which may have a token
    return (
        f"it redirects to {printable(place.partition('?')[0])}; a login page or a captive portal may be in between,"
        " or the gateway has another URL"
    )
