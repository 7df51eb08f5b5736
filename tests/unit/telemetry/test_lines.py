"""Lines of every kind are one valid line in the format of the settings, without secrets, and can be read again."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from workers.telemetry.formats import LogFormat, as_json, as_logfmt, chosen, renderer
from workers.telemetry.parsing import mentions, parsed
from workers.telemetry.redaction import HIDDEN, Redactor, passwords_in, secrets_in, spellings
from workers.telemetry.single_lines import lines_in, of_redis
from workers.telemetry.values import LONGEST, SafeValues

HOSTILE = [
    "line\nbreak", "return\r", "\x1b[31mred\x1b[0m", "nul\x00", "\x9b31m", "tab\t", "\u202eright to left",
    "line\u2028separator", "next\x85line", "not UTF-8 \udcff\udc80", "lone \ud800",
    '"quoted" = \\backslash\\', "", "{}",
    'x" level=error event="forged', "ein schöner Schlüssel 照片.jpg", "a=b",
]  # fmt: skip
# made here, so that no scanner takes them for real ones
OTHER = "OTHER" + "VALUE" * 2
SEEDED = "pa/ss w+rd-" + "0123" * 3


def line(form: LogFormat, redactor: Redactor | None = None, **fields: Any) -> str:
    return lines_in(form, redactor or Redactor())("info", "something happened", **fields)


@pytest.mark.parametrize("form", ["json", "logfmt", "human"])
@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_key_stays_within_its_line_and_its_field(form: LogFormat, value: str) -> None:
    made = line(form, object=value, then="the end")
    assert len(made.splitlines()) == 1
    made.encode()  # valid UTF-8
    assert not any(ord(one) < 32 or 0x7F <= ord(one) < 0xA0 or one in "\u2028\u2029\u202e" for one in made)
    if form != "human":
        fields = parsed(made)
        assert fields["level"] == "info"
        assert fields["event"] == "something happened"
        assert fields["then"] == "the end"
        if not any(0xD800 <= ord(one) < 0xE000 for one in value):
            assert fields["object"] == value


def test_bytes_of_a_key_that_are_not_utf8_are_shown_in_json() -> None:
    assert json.loads(line("json", object="a\udcff\udc80.jpg"))["object"] == "a\\xff\\x80.jpg"


def test_values_of_any_type_make_valid_json() -> None:
    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("a bug")

    found = json.loads(
        line("json", f=float("nan"), i=float("inf"), n=None, b=True, o=object, bad=Bad(), s={1}, k={1: {2: [3]}},
             many=list(range(1000)))
    )  # fmt: skip
    assert (found["f"], found["i"], found["n"], found["b"], found["k"]) == (
        "nan",
        "inf",
        None,
        True,
        {"1": {"2": [3]}},
    )
    assert "cannot be shown" in found["bad"]
    assert len(found["many"]) < 100


def test_huge_values_are_cut_with_a_mark_and_bytes_are_never_shown() -> None:
    found = json.loads(line("json", big="x" * 10_000_000, image=b"\x89PNG" * 1000, view=memoryview(b"abc")))
    assert len(found["big"]) < LONGEST + 100
    assert found["big"].endswith("(cut, 10,000,000 characters)")
    assert (found["image"], found["view"]) == ("<4,000 bytes>", "<3 bytes>")


@pytest.mark.parametrize("form", ["json", "logfmt", "human"])
def test_a_secret_is_hidden_in_every_spelling(form: LogFormat) -> None:
    redactor = Redactor([SEEDED])
    for spelling in spellings(SEEDED):
        for text in (spelling, f"before{spelling}after", f"redis://:{spelling}@host/0", {"x": [spelling]}):
            made = line(form, redactor, text=text)
            assert not any(one in made for one in spellings(SEEDED)), (spelling, made)
            assert HIDDEN in made


def test_a_secret_at_the_cut_of_a_huge_value_is_hidden() -> None:
    made = line("json", Redactor([SEEDED]), text="x" * (LONGEST - 5) + SEEDED + "y" * 100_000)
    assert SEEDED[:5] not in made


@pytest.mark.parametrize(
    "text",
    [
        f"http://user:{OTHER}@host/", f"redis://:{OTHER}@host:1/0", f"amqp://u:{OTHER}@h//",
        f"https://s3/b/k?X-Amz-Algorithm=A&X-Amz-Signature={OTHER}&x=1", f"?X-Amz-Credential={OTHER}%2Fus",
        f"Authorization: Bearer {OTHER}", f"authorization: Basic {OTHER}==", f"{{'Authorization': '{OTHER}'}}",
        f'{{"authorization": "Bearer {OTHER}"}}', f"[(b'cookie', b'wildtag_session={OTHER}')]",
        f"Cookie: a={OTHER}; b={OTHER}", f"Set-Cookie: wildtag={OTHER}", f"api-key: {OTHER}",
        "wt_0123456789ab_" + "5" * 48, "wh_" + "5" * 48, "whsec_" + "5" * 32,
        f"{{'x-amz-security-token': '{OTHER}'}}", f"bearer {OTHER}",
    ],
)  # fmt: skip
def test_secrets_of_others_are_found_by_their_form(text: str) -> None:
    shown = Redactor().text(text)
    assert OTHER not in shown
    assert "5555" not in shown
    assert HIDDEN in shown
    assert Redactor().text(shown) == shown


@pytest.mark.parametrize(
    "text",
    ["http://host:8080/a?b=c", "s3://bucket/key", "the token is missing", "basic", "2026-11-30T10:11:12Z", "a@b.c",
     "unauthorized: an API key is required", "authorization is required"],
)  # fmt: skip
def test_ordinary_texts_stay(text: str) -> None:
    assert Redactor(["longpassword"]).text(text) == text


def test_only_the_secret_parts_of_settings_are_secret() -> None:
    assert {one for one in secrets_in(f"redis://user:{'pa%2Fss'}@host:1/0") if len(one) > 3} == {
        "pa%2Fss", "pa/ss", "user:pa/ss",
    }  # fmt: skip
    assert not [one for one in secrets_in("http://host/path") if one]
    assert "longpassword" in set(secrets_in("admin:longpassword"))
    assert {"first-token", "second-token"} <= set(secrets_in("first-token,second-token"))
    assert "T0KENVALUE" in set(secrets_in("authorization=Bearer%20T0KENVALUE,x=y"))
    assert "/services/" + "T" * 20 in set(secrets_in("https://hooks.example.org/services/" + "T" * 20))
    assert list(passwords_in("http://host/services/" + "T" * 20)) == []


def test_the_format_follows_the_setting_and_the_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert chosen("auto", Terminal()) == "human"
    assert chosen("auto", io.StringIO()) == chosen("auto", None) == "logfmt"
    assert chosen("json", Terminal()) == "json"


def test_lines_of_redis_become_ours() -> None:
    turn = of_redis(lines_in("json"), "redis")
    found = json.loads(str(turn("23120:M 30 Nov 2026 16:08:03.701 # Server \x1b[31minitialized\n")))
    assert (found["level"], found["event"], found["process"], found["pid"]) == (
        "warning", "Server \x1b[31minitialized", "redis", 23120,
    )  # fmt: skip
    assert json.loads(str(turn("*** FATAL CONFIG FILE ERROR ***")))["event"] == "*** FATAL CONFIG FILE ERROR ***"
    assert turn("") is None
    assert of_redis(lines_in("json"), "redis", "warning")("1:M 30 Nov 2026 16:08:03.701 * ready") is None


def test_a_line_mentions_a_request_alone_or_among_several() -> None:
    for form in ("json", "logfmt"):
        fields = parsed(line(form, requests=["one", "two"], request="three"))
        assert [mentions(fields, "request", name) for name in ("one", "two", "three", "four")] == [True] * 3 + [False]


def test_the_output_of_other_programs_has_no_fields() -> None:
    assert parsed("Traceback (most recent call last):") == parsed('{"broken": ') == parsed("[1]") == {}


PROGRAM = """
import logging, sys, threading, warnings
import structlog
from workers.telemetry.logs import configure
configure(logging.INFO, {form!r}, [{secret!r}], "gateway")
log = structlog.get_logger()
log.info("ours", key="a\\udcff\\n\\x1b[31m")
log.debug("not shown")
logging.getLogger("celery.worker").info("theirs %s", "of\\ntwo lines")
logging.getLogger("urllib3").info("not shown")
logging.getLogger("minio").warning("wrong arguments %d", "x")
warnings.warn("a warning")
thread = threading.Thread(target=lambda: 1 / 0, name="mine")
thread.start()
thread.join()
class Broken:
    def __del__(self): raise ValueError("in __del__")
Broken()
try:
    raise ValueError({secret!r})
except ValueError:
    log.exception("failed")
    logging.getLogger("uvicorn.error").exception("failed elsewhere")
raise KeyError({secret!r})
"""


@pytest.mark.parametrize("form", ["json", "logfmt"])
def test_every_line_of_a_process_has_one_format_whoever_writes_it(form: str) -> None:
    code = textwrap.dedent(PROGRAM).format(form=form, secret=SEEDED)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, errors="surrogateescape"
    )
    assert done.returncode == 1
    assert done.stdout == ""
    found = [parsed(one) for one in done.stderr.splitlines()]
    assert all(found), done.stderr
    assert [one["event"] for one in found] == [
        "ours", "theirs of\ntwo lines",
        "wrong arguments %d (its arguments do not fit: TypeError)", found[3]["event"],
        "uncaught exception in a thread", "uncaught exception", "failed", "failed elsewhere", "uncaught exception",
    ]  # fmt: skip
    assert "a warning" in found[3]["event"]
    assert found[4]["thread"] == "mine"
    assert all("Traceback" in one["exception"] for one in found[4:])
    assert SEEDED not in done.stderr
    assert HIDDEN in found[-1]["exception"]
    if form == "json":
        assert {one["process"] for one in found} == {"gateway"}


def test_a_line_costs_little() -> None:
    """Generous: a machine that runs other tests. What was measured is in the decision."""
    import time  # noqa: PLC0415 -- only here

    safe, render = SafeValues(Redactor([SEEDED] * 10)), as_json
    fields = {"event": "request", "path": "/v1/images/abc.jpg", "status": 200, "client": "127.0.0.1", "ms": 1.2}
    began = time.perf_counter()
    for _ in range(1000):
        render(None, "info", safe(None, "info", dict(fields)))
    assert time.perf_counter() - began < 0.5
    assert as_logfmt(None, "info", fields).startswith("event=request")
    assert renderer("json") is as_json
    assert logging.raiseExceptions
