"""Removes secrets from log lines: the last guard, behind the code that does not log them.

The values of this process's secrets are known and are replaced in every spelling in which a library may print them.
Secrets of others, such as a client's API key or the signature of a presigned URL, are found by their form.
"""

from __future__ import annotations

import base64
import contextlib
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import SplitResult, quote, quote_plus, unquote, urlsplit

HIDDEN = "***"
TELLING = 20  # characters of a path that may be secret, as those of chat services are
SHORTEST = 6  # characters; to replace shorter ones would damage ordinary words

_QUERY = (
    "x-amz-signature|x-amz-credential|x-amz-security-token|signature|access_token|api[-_]?key|token|password|secret"
)
_HEADERS = (
    "proxy-authorization|authorization|set-cookie|cookie|x-amz-security-token|x-api-key|api-key|webhook-signature"
)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # the password of a URL, also of one without a user
    (re.compile(r"(://[^\s/@:'\"<>]*:)[^\s/@'\"<>]+(?=@)"), rf"\1{HIDDEN}"),
    (re.compile(rf"([?&;](?:{_QUERY})=)[^&\s'\"<>)\\]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"\b(bearer|basic)(\s+)(?!\*)[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), rf"\1\2{HIDDEN}"),
    # a header in a dictionary, a list of pairs or as it is sent
    (
        re.compile(
            rf"(\b(?:{_HEADERS})\\?['\"]?\s*[:=,](?![\s'\"\\b]*(?:bearer|basic|\*)[\s*])\s*b?\\?['\"]?)[^'\"\r\n,}}\]]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\bwt_([0-9a-f]{12})_[0-9a-f]{8,}"), rf"wt_\1_{HIDDEN}"),  # API keys, whose id may be shown
    (re.compile(r"\bwh_[0-9a-f]{16,}"), f"wh_{HIDDEN}"),  # the key of a home
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]{8,}"), f"whsec_{HIDDEN}"),  # secrets of webhooks
)
# a text without any of these has nothing that a pattern would find
_HINTS = re.compile(rf"://[^\s/]*:|bearer|basic|wt_|wh_|whsec_|[?&;](?:{_QUERY})=|{_HEADERS}", re.IGNORECASE)


class Redactor:
    """Replaces secrets in texts. Thread-safe."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._exact: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Secrets to replace from now on. Ones of fewer than ``SHORTEST`` characters are ignored."""
        forms = {form for one in secrets for form in spellings(one)}
        if forms <= self._known:
            return
        self._known |= forms
        self._exact = re.compile("|".join(map(re.escape, sorted(self._known, key=len, reverse=True))))

    def text(self, text: str) -> str:
        """The text with secrets replaced."""
        if self._exact is not None:
            text = self._exact.sub(HIDDEN, text)
        if _HINTS.search(text):
            for pattern, shown in _PATTERNS:
                text = pattern.sub(shown, text)
        return text


def spellings(secret: str) -> Iterator[str]:
    """Every form in which a secret may be printed. None for one that is too short."""
    for one in {secret, unquote(secret)}:
        if len(one) < SHORTEST:
            continue
        yield from {
            one, quote(one, safe=""), quote(one), quote_plus(one), json.dumps(one)[1:-1], repr(one)[1:-1],
            json.dumps(one, ensure_ascii=False)[1:-1], html.escape(one), json.dumps(json.dumps(one)[1:-1])[1:-1],
        }  # fmt: skip
        data = one.encode(errors="surrogateescape")
        for coded in (base64.b64encode(data), base64.urlsafe_b64encode(data)):
            yield coded.decode().rstrip("=")


def secrets_in(value: str) -> Iterator[str]:
    """The secrets in the value of a secret setting.

    Of a list each; of a URL its password, and its query and path, which may be what only its receiver knows; of
    ``USER:PASSWORD`` or ``NAME=VALUE`` also what comes behind.
    """
    if "://" in value:
        yield from passwords_in(value)
        for url in _urls(value):
            yield from (pair.partition("=")[2] for pair in url.query.split("&"))
            yield url.query
            if url.scheme in {"http", "https"} and len(url.path) >= TELLING:
                yield url.path
        return
    for part in {value, *value.split(",")}:
        yield part
        for mark in (":", "=", " "):
            behind = unquote(part).partition(mark)[2]
            yield behind
            yield behind.rpartition(" ")[2]  # the token behind ``Bearer``


def passwords_in(value: str) -> Iterator[str]:
    """The passwords in a URL or a list of URLs, and ``USER:PASSWORD`` as the header of Basic has it."""
    for url in _urls(value):
        user, _, password = url.netloc.rpartition("@")[0].partition(":")
        if password:
            yield from (password, unquote(password), f"{unquote(user)}:{unquote(password)}")


def _urls(value: str) -> Iterator[SplitResult]:
    for part in re.split(r"[,;](?=[a-z+]+://)", value):
        with contextlib.suppress(ValueError):
            yield urlsplit(part)
