"""Requests as an attacker sends them: bytes, by kind, the same for the same seed. None changes what is tagged.

Uploads that are valid are the exception, to have something of one's own: see ``own_upload``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from ops.chaos import hostile_parts as parts

Header = tuple[bytes, bytes]
JSON: Header = (b"Content-Type", b"application/json")


@dataclass(frozen=True)
class Hostile:
    """A request. ``waits``: it is not complete, so the gateway may wait for the rest before it answers.

    ``never``: it must not succeed. ``raw``: sent in place of everything else.
    """

    kind: str
    method: bytes
    target: bytes
    headers: Sequence[Header] = ()
    body: bytes = b""
    waits: bool = False
    never: bool = False
    raw: bytes = b""
    sized: bool = True

    def wire(self, host: bytes) -> bytes:
        """Its bytes."""
        if self.raw:
            return self.raw.replace(b"HOST", host)
        named = {name.lower() for name, _ in self.headers}
        lines = [self.method + b" " + self.target + b" HTTP/1.1"]
        if b"host" not in named:
            lines.append(b"Host: " + host)
        lines += [name + b": " + value for name, value in self.headers]
        if self.sized and self.body and not {b"content-length", b"transfer-encoding"} & named:
            lines.append(b"Content-Length: " + str(len(self.body)).encode())
        return b"\r\n".join([*lines, b"", self.body])


@dataclass
class Known:
    """What an attacker knows: its key, a session's cookie, ids of its own uploads, and cursors it was given."""

    key: str
    bucket: str
    cookie: str = ""
    own: list[str] = field(default_factory=list)
    cursors: list[str] = field(default_factory=list)

    @property
    def bearer(self) -> Header:
        """The header with its key."""
        return b"Authorization", b"Bearer " + self.key.encode()


def own_upload(chance: random.Random, known: Known, idempotency: bytes = b"") -> Hostile:
    """A valid upload of an image that there was not before."""
    more = [(b"Idempotency-Key", idempotency)] if idempotency else []
    return Hostile("uploads", b"POST", b"/v1/images", [known.bearer, *more], parts.image(chance))


def stream(chance: random.Random, known: Known) -> Iterator[Hostile]:
    """Requests without end, of all kinds in turn, in an order that the seed decides."""
    while True:
        kinds = list(KINDS.values())
        chance.shuffle(kinds)
        for make in kinds:
            yield make(chance, known)


def _headers(chance: random.Random, known: Known) -> Hostile:
    target, more = chance.choice((b"/v1/objects", b"/", b"/healthz", b"/v1/status")), parts.headers(chance)
    return Hostile("headers", b"GET", target, [known.bearer, *more])


def _duplicates(chance: random.Random, known: Known) -> Hostile:
    name, one, other = chance.choice(parts.TWICE)
    headers = [known.bearer, (name, one), (name, other)]
    return Hostile("duplicate headers", b"POST", b"/v1/images", headers, b"0\r\n\r\n", waits=True)


def _forms(chance: random.Random, known: Known) -> Hostile:
    target = chance.choice((b"/v1/images", b"/v1/search", b"/v1/uploads/" + b"0" * 48))
    kind, body = parts.form(chance)
    return Hostile("forms", b"POST", target, [known.bearer, (b"Content-Type", kind)], body, never=True)


def _expressions(chance: random.Random, known: Known) -> Hostile:
    path, names = chance.choice(parts.QUERIES)
    query = "&".join(
        f"{name}={quote(parts.expression(chance))}"
        for name in chance.sample(names, min(len(names), chance.randint(1, 2)))
    )
    return Hostile("expressions", b"GET", f"{path}?{query}".encode(), [known.bearer])


def _cursors(chance: random.Random, known: Known) -> Hostile:
    cursor = parts.tampered(chance, chance.choice(known.cursors or ["AAAA"]))
    path = chance.choice(("/v1/objects", "/v1/tags", "/v1/duplicates", "/v1/search", "/v1/tags/cat/objects"))
    query = f"cursor={quote(cursor)}" + ("&q=cat" if path == "/v1/search" else "")
    return Hostile("cursors", b"GET", f"{path}?{query}".encode(), [known.bearer])


def _ids(chance: random.Random, known: Known) -> Hostile:
    where = chance.choice((
        b"/v1/images/%s", b"/v1/batches/%s", b"/v1/images/%s/events", b"/v1/objects/BUCKET/%s", b"/v1/objects/%s/x",
        b"/v1/objects/BUCKET/%s:content", b"/v1/thumbnails/BUCKET/%s", b"/v1/label-maps/BUCKET/%s", b"/%s",
        b"/v1/overlays/BUCKET/%s", b"/v1/tags/%s/objects", b"/docs/files/%s",
    ))  # fmt: skip
    target = where.replace(b"BUCKET", known.bucket.encode()).replace(b"%s", parts.identifier(chance))
    method = chance.choice((b"GET", b"GET", b"HEAD", b"DELETE"))
    return Hostile("ids", method, target, [known.bearer])


def _tokens(chance: random.Random, known: Known) -> Hostile:
    target = b"/v1/uploads/" + chance.choice((b"0" * 48, parts.identifier(chance)))
    return Hostile("tokens", b"POST", target, [known.bearer], parts.image(chance), never=True)


def _ranges(chance: random.Random, known: Known) -> Hostile:
    return Hostile("ranges", b"GET", _own(chance, known), [known.bearer, (b"Range", parts.byte_range(chance))])


def _conditions(chance: random.Random, known: Known) -> Hostile:
    name = chance.choice((b"If-None-Match", b"If-Match", b"If-Range", b"If-Modified-Since", b"If-Unmodified-Since"))
    return Hostile("conditions", b"GET", _own(chance, known), [known.bearer, (name, parts.validator(chance))])


def _own(chance: random.Random, known: Known) -> bytes:
    name = chance.choice(known.own or ["0" * 32])
    key = f"{known.bucket}/uploads/{name}"
    return chance.choice((
        f"/v1/objects/{key}:content", f"/v1/thumbnails/{key}", f"/v1/images/{name}", f"/v1/objects/{key}",
        "/favicon.svg",
    )).encode()  # fmt: skip


def _idempotency(chance: random.Random, known: Known) -> Hostile:
    """The key is that of the attacker's first upload, with another body."""
    value = chance.choice((b"attacker", b"attacker", b"x" * 5000, b"\xff\xfe", b"a b", b"", b"k\x00"))
    headers = [known.bearer, (b"Idempotency-Key", value)]
    return Hostile("idempotency", b"POST", b"/v1/images", headers, parts.image(chance), never=value == b"attacker")


def _json(chance: random.Random, known: Known) -> Hostile:
    path = chance.choice((b"/v1/batches", b"/v1/captions", b"/v1/uploads", b"/v1/session", b"/v1/events/minio"))
    return Hostile("json", b"POST", path, [known.bearer, JSON], parts.json_bomb(chance), never=path != b"/v1/uploads")


def _methods(chance: random.Random, known: Known) -> Hostile:
    method = chance.choice((b"PUT", b"PATCH", b"TRACE", b"PROPFIND", b"LOCK", b"get", b"DELETE", b"SEARCH", b"MKCOL"))
    override = chance.choice((b"X-HTTP-Method-Override", b"X-HTTP-Method", b"X-Method-Override"))
    target = chance.choice((b"/v1/objects", b"/", b"/healthz", b"*", b"/v1/tags", b"/v1/images"))
    return Hostile("methods", method, target, [known.bearer, (override, b"DELETE")], never=True)


def _origins(chance: random.Random, known: Known) -> Hostile:
    """With the cookie of a session, as the browser of a victim sends it for a page of another site."""
    origin = chance.choice((b"https://evil.example", b"null", b"http://HOST.evil.example", b"http://[", b"file://"))
    method, target = chance.choice(
        ((b"POST", b"/v1/images"), (b"DELETE", _own(chance, known)), (b"POST", b"/v1/batches"))
    )
    headers = [(b"Cookie", known.cookie.encode()), (b"Origin", origin)]
    return Hostile("origins", method, target, headers, parts.image(chance), never=True)


def _forwarded(chance: random.Random, known: Known) -> Hostile:
    name = chance.choice((b"X-Forwarded-For", b"X-Forwarded-Host", b"Forwarded", b"X-Original-URL", b"X-Rewrite-URL"))
    value = chance.choice((b"127.0.0.1", b"evil.example", b"for=127.0.0.1", b"/v1/webhooks/dead", b"\xff, ::1"))
    return Hostile("forwarded", b"GET", b"/v1/webhooks/dead", [known.bearer, (name, value)], never=True)


def _guesses(chance: random.Random, _: Known) -> Hostile:
    secret = f"wt_{chance.getrandbits(48):012x}_{chance.getrandbits(192):048x}".encode()
    value = chance.choice((b"Bearer " + secret, b"Basic " + secret, b"bearer\t" + secret, b"Bearer " + secret * 200))
    return Hostile("guesses", b"GET", b"/v1/objects", [(b"Authorization", value)], never=True)


def _admin(chance: random.Random, known: Known) -> Hostile:
    method, target = chance.choice((
        (b"GET", b"/v1/webhooks"), (b"GET", b"/v1/webhooks/dead"), (b"POST", b"/v1/webhooks/dead/1-1:replay"),
        (b"GET", b"/v1/webhooks/dead?limit=9999999"), (b"GET", b"//v1/webhooks"), (b"GET", b"/v1/%77ebhooks"),
    ))  # fmt: skip
    return Hostile("admin", method, target, [known.bearer], never=True)


def _slow(chance: random.Random, known: Known) -> Hostile:
    body = chance.choice((parts.image(chance)[:20], b'{"keys": [', b"", b"--b\r\nContent-Dis"))
    kind = chance.choice((b"application/json", b"image/png", b"multipart/form-data; boundary=b"))
    size = (b"Content-Length", str(chance.choice((100, 10**6, 10**9))).encode())
    target = chance.choice((b"/v1/images", b"/v1/batches", b"/v1/search"))
    return Hostile("slow", b"POST", target, [known.bearer, (b"Content-Type", kind), size], body, waits=True)


def _chunks(chance: random.Random, known: Known) -> Hostile:
    body = chance.choice(parts.CHUNKS)
    headers = [known.bearer, (b"Transfer-Encoding", chance.choice(parts.CODINGS))]
    return Hostile("chunks", b"POST", b"/v1/images", headers, body, waits=True, never=True)


def _codings(chance: random.Random, known: Known) -> Hostile:
    coding = (b"Content-Encoding", chance.choice((b"gzip", b"br", b"deflate, gzip", b"x" * 500, b"zstd")))
    target, kind = chance.choice(((b"/v1/images", b"image/png"), (b"/v1/batches", b"application/json")))
    headers = [known.bearer, coding, (b"Content-Type", kind)]
    return Hostile("codings", b"POST", target, headers, parts.zipped(chance), never=True)


def _streams(chance: random.Random, known: Known) -> Hostile:
    """Event streams with strange positions, and upgrades to other protocols."""
    last = (b"Last-Event-ID", parts.identifier(chance)[:300].replace(b"%00", b"0"))
    socket_ = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"), (b"Sec-WebSocket-Version", b"13"),
               (b"Sec-WebSocket-Key", b"AAAAAAAAAAAAAAAAAAAAAA==")]  # fmt: skip
    clear = [(b"Connection", b"Upgrade, HTTP2-Settings"), (b"Upgrade", b"h2c"), (b"HTTP2-Settings", b"AAMAAABk")]
    headers = chance.choice(([last], socket_, clear, [last, (b"Accept", b"text/event-stream")]))
    return Hostile("streams", chance.choice((b"GET", b"HEAD")), b"/v1/feed", [known.bearer, *headers])


def _garbage(chance: random.Random, _: Known) -> Hostile:
    return Hostile("garbage", b"?", b"?", raw=parts.garbage(chance), waits=True)


def _smuggled(chance: random.Random, known: Known) -> Hostile:
    """A request in the body of another one; ``Attacker`` reads one answer, and the connection must end."""
    inner = b"DELETE /v1/images/" + b"0" * 32 + b" HTTP/1.1\r\nHost: HOST\r\n\r\n"
    headers = [known.bearer, (b"Content-Length", b"4"), (b"Transfer-Encoding", chance.choice(parts.CODINGS))]
    return Hostile("smuggled", b"POST", b"/v1/images", headers, b"0\r\n\r\n" + inner, waits=True, never=True)


KINDS: Mapping[str, Callable[[random.Random, Known], Hostile]] = {
    "headers": _headers, "duplicate headers": _duplicates, "forms": _forms, "expressions": _expressions,
    "cursors": _cursors, "ids": _ids, "tokens": _tokens, "ranges": _ranges, "conditions": _conditions,
    "idempotency": _idempotency, "json": _json, "methods": _methods, "origins": _origins, "forwarded": _forwarded,
    "guesses": _guesses, "admin": _admin, "slow": _slow, "chunks": _chunks, "codings": _codings, "streams": _streams,
    "garbage": _garbage, "smuggled": _smuggled,
}  # fmt: skip
"""How to make a request of each kind."""


def shown(request: Hostile) -> str:
    """A request as JSON, to be sent again; long parts are cut. The key is left out."""
    headers = [[_text(name), _text(value)] for name, value in request.headers if name != b"Authorization"]
    said = {"kind": request.kind, "method": _text(request.method), "target": _text(request.target),
    "headers": headers,
            "body": _text(request.body or request.raw)}  # fmt: skip
    return json.dumps(said)


def _text(data: bytes) -> str:
    text = data.decode("latin-1")
    return text if len(text) <= 400 else f"{text[:400]}… {len(data)} bytes"
