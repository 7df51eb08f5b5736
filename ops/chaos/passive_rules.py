"""What every answer of the gateway and of Flower must have, whatever was asked: rules that need only the answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# tracebacks, and paths of the machine that runs it
_INSIDE = re.compile(
    rb'Traceback \(most recent call last\)|File "[^"]+", line \d+|site-packages|\.py", line|/usr/lib/python'
    rb"|unix://|\.sock\b|redis\.exceptions|pydantic_core\._|<class '"
)
_CHARSET = re.compile(r"^text/.*;\s*charset=[\w-]+", re.IGNORECASE)
_SINGLE = frozenset({
    "content-type", "content-length", "content-security-policy", "cache-control", "x-content-type-options",
    "referrer-policy", "location", "etag", "retry-after", "x-request-id", "access-control-allow-origin",
})  # fmt: skip
_COMMON = {
    "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin", "cross-origin-opener-policy": "same-origin",
}  # fmt: skip
_FLOWER = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "x-frame-options": "DENY"}
_PRIVATE = ("/v1/", "/metrics", "/readyz")


@dataclass(frozen=True)
class Answer:
    """An answer. ``path``: of its URL, without the root path. ``body``: its first bytes; ``None`` if not read."""

    path: str
    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes | None = None
    secure: bool = False

    def values(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for given, value in self.headers if given.lower() == name]

    def one(self, name: str) -> str:
        """The value of a header; empty if there is none."""
        return next(iter(self.values(name)), "")


def faults(answer: Answer, secrets: Iterable[str] = ()) -> list[str]:
    """What is wrong with an answer of the gateway. ``secrets``: texts that no answer may contain."""
    found = [_lacks(answer, name, value) for name, value in _COMMON.items()]
    policy = answer.one("content-security-policy")
    found.append("" if "frame-ancestors 'none'" in policy else f"its policy allows frames: {policy!r}")
    found.append("" if "default-src 'none'" in policy else f"its policy allows what it does not name: {policy!r}")
    if answer.one("content-type").startswith("text/html"):
        found.append("" if "script-src 'self';" in policy else f"its policy allows scripts of others: {policy!r}")
    stored = answer.one("cache-control")
    if (answer.path.startswith(_PRIVATE) or answer.status >= 400) and not re.search("private|no-store", stored):
        found.append(f"caches may store what is private: Cache-Control {stored!r}")
    if answer.status >= 400 and answer.body and not _is_problem(answer):
        found.append(f"an error that is no problem document: {answer.one('content-type')!r}")
    if answer.status in {429, 503, 507} and not answer.one("retry-after").isdecimal():
        found.append(f"{answer.status} without Retry-After")
    return [one for one in [*found, *_in_common(answer, secrets)] if one]


def flower_faults(answer: Answer, secrets: Iterable[str] = ()) -> list[str]:
    """What is wrong with an answer of Flower, whose pages are of others."""
    found = [_lacks(answer, name, value) for name, value in _FLOWER.items()]
    return [one for one in [*found, *_in_common(answer, secrets)] if one]


def _in_common(answer: Answer, secrets: Iterable[str]) -> list[str]:
    found = [f"it names its software: {name}" for name in ("server", "x-powered-by") if answer.values(name)]
    kind = answer.one("content-type")
    if answer.body and not kind:
        found.append("no content type")
    if kind.startswith("text/") and not _CHARSET.match(kind):
        found.append(f"a text without a charset: {kind!r}")
    counted = Counter(name.lower() for name, _ in answer.headers)
    found += [f"{name} is there {count} times" for name, count in counted.items() if count > 1 and name in _SINGLE]
    for cookie in answer.values("set-cookie"):
        found += _cookie(cookie, secure=answer.secure)
    if answer.body:
        if inside := _INSIDE.search(answer.body):
            found.append(f"it shows what is inside: {inside[0][:80]!r}")
        found += ["a secret is in the body" for secret in secrets if secret.encode() in answer.body]
    said = "\n".join(value for _, value in answer.headers)
    return found + ["a secret is in a header" for secret in secrets if secret in said]


def _cookie(cookie: str, *, secure: bool) -> list[str]:
    name, *flags = [part.strip().lower() for part in cookie.split(";")]
    wanted = {"httponly", "samesite=strict", *(["secure"] if secure else [])}
    return [f"the cookie {name.partition('=')[0]} lacks {one}" for one in sorted(wanted - set(flags))]


def _lacks(answer: Answer, name: str, value: str) -> str:
    given = answer.values(name)
    return "" if given == [value] else f"{name} is {given}, expected {value}"


def _is_problem(answer: Answer) -> bool:
    kind = answer.one("content-type")
    if answer.body is not None and answer.body.startswith(b"Disallowed CORS"):
        return True  # Starlette's, for browsers alone
    return kind == "application/problem+json" or (answer.path == "/readyz" and kind == "application/json")
