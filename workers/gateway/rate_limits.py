"""Limits on the rate of requests: token buckets by API key, and by address for guesses.

Each key has a bucket for its requests, further ones for uploads and for expensive requests, and one for monitoring,
so that a key without requests left can still be scraped with. Requests that need no key are of one caller together.
An address has a bucket for *guesses*: API keys, sessions and tokens of forms that do not exist. A guess is counted
once, however often it is repeated, so an open page whose session has ended costs one. While an address has no guesses
left, what was valid before is still accepted from it; unknown keys are refused without being looked up.

The buckets are in this process. They need no Redis, so they hold while it is away. Each of several gateways has its
own, and a restart fills them. The headers ``RateLimit`` and ``RateLimit-Policy`` are those of
draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address, ip_address
from typing import Any

from workers.gateway.problems import Problem

BURST_S = 2.0  # a bucket holds what is allowed in so many seconds; that of guesses a minute's worth
KEPT = 10_000  # buckets of one kind, and guesses
MONITORING_RATE = 100.0  # more than one client that waits for each answer can ask for
NEIGHBOURS = 64  # bits of an IPv6 address that one customer has


class Kind(Enum):
    """Of a route: what its requests are counted as, and the name of the limit in headers and metrics."""

    REQUEST = "requests"
    UPLOAD = "uploads"
    EXPENSIVE = "expensive"
    MONITORING = "monitoring"


GUESSES = "guesses"


@dataclass(frozen=True)
class Rates:
    """Allowed rates. 0: no limit. ``guesses``: of an address, per minute; the others are of a key, per second."""

    requests: float = 0.0
    uploads: float = 0.0
    expensive: float = 0.0
    guesses: float = 0.0


UNLIMITED = Rates()


class Buckets:
    """Token buckets of one kind, by their owner. ``rate``: tokens per second. ``full``: what a bucket holds.

    The buckets that were not used for longest are forgotten. For one thread.
    """

    def __init__(self, name: str, rate: float, full: float, clock: Callable[[], float]) -> None:
        self.name = name
        self.rate = rate
        self._full = max(1.0, full)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when that was computed

    def left(self, owner: str) -> float:
        """The tokens of an owner; below 0 after ``take`` took more than there were."""
        now = self._clock()
        tokens, then = self._left.get(owner, (self._full, now))
        return min(self._full, tokens + (now - then) * self.rate)

    def empty(self, owner: str) -> bool:
        """Whether an owner has no token; with room for rounding, as a client that waited as it was told has one."""
        return self.left(owner) < 1 - 1e-6

    def take(self, owner: str, count: int = 1) -> None:
        """Take tokens, also if there are not as many."""
        self._left[owner] = self.left(owner) - count, self._clock()
        self._left.move_to_end(owner)
        if len(self._left) > KEPT:
            self._left.popitem(last=False)

    def wait_s(self, owner: str) -> int:
        """Whole seconds until there is a token, at least 1."""
        return max(1, math.ceil((1 - self.left(owner)) / self.rate))

    def policy(self) -> str:
        """The item of ``RateLimit-Policy``."""
        return f'"{self.name}";q={math.floor(self._full)};w={max(1, round(self._full / self.rate))}'

    def state(self, owner: str) -> str:
        """The item of ``RateLimit``: what is left, and seconds until the bucket is full."""
        left = self.left(owner)
        return f'"{self.name}";r={max(0, math.floor(left))};t={max(0, math.ceil((self._full - left) / self.rate))}'


class RateLimits:
    """The limits of one gateway. For its event loop."""

    def __init__(self, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        def buckets(name: str, rate: float, burst_s: float = BURST_S) -> Buckets | None:
            return Buckets(name, rate, rate * burst_s, clock) if rate > 0 else None

        every = buckets(Kind.REQUEST.value, rates.requests)
        self._of: Mapping[Kind, tuple[Buckets, ...]] = {
            kind: tuple(one for one in found if one is not None)
            for kind, found in {
                Kind.REQUEST: (every,),
                Kind.UPLOAD: (every, buckets(Kind.UPLOAD.value, rates.uploads)),
                Kind.EXPENSIVE: (every, buckets(Kind.EXPENSIVE.value, rates.expensive)),
                Kind.MONITORING: (buckets(Kind.MONITORING.value, MONITORING_RATE if every is not None else 0.0),),
            }.items()
        }
        self._guesses = buckets(GUESSES, rates.guesses / 60, 60.0)
        self._guessed: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def count(self, caller: str, kind: Kind) -> None:
        """Count a request of a caller. Raises ``Problem`` if it has no more of this kind; then nothing is counted."""
        for one in self._of[kind]:
            if one.empty(caller):
                detail = f"more than {one.rate:g} requests per second of the kind {one.name}"
                raise _refused(one, caller, detail, self.headers(caller, kind))
        self.charge(caller, kind, 1)

    def charge(self, caller: str, kind: Kind, count: int) -> None:
        """Count ``count`` more of a request that has been admitted: they delay the next requests of the caller."""
        for one in self._of[kind]:
            one.take(caller, count)

    def headers(self, caller: str, kind: Kind) -> dict[str, str]:
        """The headers of a response: what the caller has left of each limit of this kind; empty without limits."""
        return _headers(self._of[kind], caller)

    def check_guess(self, address: str, shown: bytes) -> None:
        """Raises ``Problem`` if an address has no guesses left, unless this is a repeated one.

        ``shown``: the digest of what was presented.
        """
        limit, who = self._guesses, neighbourhood(address)
        if limit is not None and (who, shown) not in self._guessed and limit.empty(who):
            detail = f"more than {limit.rate * 60:g} unknown keys and tokens per minute from this address"
            raise _refused(limit, who, detail, _headers((limit,), who))

    def guessed(self, address: str, shown: bytes) -> None:
        """Count what was presented by an address and turned out to be unknown."""
        limit, guess = self._guesses, (neighbourhood(address), shown)
        if limit is None:
            return
        if guess not in self._guessed:
            limit.take(guess[0])
        self._guessed[guess] = None
        self._guessed.move_to_end(guess)
        if len(self._guessed) > KEPT:
            self._guessed.popitem(last=False)


def neighbourhood(address: str) -> str:
    """What counts as one address: an IPv4 address, or the network of an IPv6 address that one customer has."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:  # a socket in the file system
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> NEIGHBOURS << NEIGHBOURS)}/{NEIGHBOURS}"


def client_of(scope: Any) -> str:
    """The address of a request's client: of a trusted proxy's client, if the request came through one."""
    return str((scope.get("client") or ("-",))[0])


def _headers(buckets: Iterable[Buckets], owner: str) -> dict[str, str]:
    found = tuple(buckets)
    if not found:
        return {}
    return {
        "RateLimit-Policy": ", ".join(one.policy() for one in found),
        "RateLimit": ", ".join(one.state(owner) for one in found),
    }


def _refused(limit: Buckets, owner: str, detail: str, headers: Mapping[str, str]) -> Problem:
    wait = {"Retry-After": str(limit.wait_s(owner))}
    return Problem("too-many", detail, headers={**headers, **wait}, reason=f"rate-{limit.name}")
