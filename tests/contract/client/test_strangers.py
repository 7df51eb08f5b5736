"""What answers in place of the gateway is named in one line: proxies, login pages, captive portals, other servers."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm
from tests.contract.client.gateway_and_client import CAT, IMAGES
from tests.contract.client.gateway_and_client import client as client  # noqa: PLC0414 -- a fixture
from tests.contract.client.gateway_and_client import gateway as gateway  # noqa: PLC0414 -- a fixture
from tests.contract.made_up_gateway import Answer, MadeUpGateway, problem
from vectordb.errors import WildtagError
from workers.client import ApiError, Away, Client, Postponed, Refused, StrangeAnswer, Waiting
from workers.gateway.home_key import create_home_key

HTML = {"Content-Type": "text/html; charset=utf-8", "Server": "nginx/1.22.1"}
PAGE = b"<!doctype html><html><title>Sign in</title>\n</html>"
NOT_OURS = "not of a wildtag gateway"

ERRORS = [
    (Answer(400, PAGE, HTML), Refused, "400 Bad Request", "https://"),
    (Answer(413, PAGE, HTML), Refused, "413 Request Entity Too Large", "client_max_body_size"),
    (Answer(404, PAGE, HTML), Refused, "404 Not Found", "check its host, port and path"),
    (Answer(404, b'{"detail":"Not Found"}', {"Content-Type": "application/json"}), Refused, "404 Not Found", "path"),
    (Answer(401, PAGE, {**HTML, "WWW-Authenticate": "Basic"}), Refused, "401 Unauthorized", "sign-in of its own"),
    (Answer(403, PAGE, HTML), Refused, "403 Forbidden", "it refuses the request"),
    (Answer(405, PAGE, HTML), Refused, "405 Method Not Allowed", "no gateway at this URL"),
    (Answer(511, PAGE, HTML), Refused, "511 Network Authentication Required", "the network asks for a sign-in"),
    (Answer(302, PAGE, HTML | {"Location": "https://login.example/?token=1"}), Refused, "302 Found",
     "redirects to https://login.example/;"),
    (Answer(301, b"", HTML | {"Location": "http://elsewhere.example/x"}), Refused, "301 Moved", "elsewhere"),
    (Answer(502, PAGE, HTML), Postponed, "502 Bad Gateway", "cannot reach the gateway"),
    (Answer(503, PAGE, HTML), Postponed, "503 Service Unavailable", "cannot reach the gateway"),
    (Answer(504, PAGE, HTML), Postponed, "504 Gateway Timeout", "no response of the gateway in time"),
    (Answer(429, PAGE, HTML | {"Retry-After": "9999"}), Postponed, "429 Too Many Requests", "limits the rate"),
]  # fmt: skip
STRANGE = [
    (Answer(200, PAGE, HTML), "login page"),
    (Answer(200, b"", {"Content-Type": "application/json"}), "it is empty"),
    (Answer(200, b'{"id": "1", "bu', {"Content-Type": "application/json"}), "cut off"),
    (Answer(200, b'{"ok": true}', {"Content-Type": "application/json"}), NOT_OURS),
    (Answer(204), "it is empty"),
]


@pytest.mark.parametrize(("answer", "kind", "status", "hint"), ERRORS)
def test_an_error_of_another_server_is_named_in_one_line(
    gateway: MadeUpGateway, answer: Answer, kind: type[ApiError], status: str, hint: str
) -> None:
    gateway.prepare(IMAGES, *[answer] * 50)
    with Client(gateway.url, patience=0.3) as client, pytest.raises(kind) as caught:
        client.upload(CAT)
    said = str(caught.value)
    assert said.startswith(status)
    assert NOT_OURS in said
    assert hint in said
    assert "\n" not in said
    assert "token" not in said
    assert (caught.value.of_gateway, caught.value.type) == (False, "about:blank")
    if "Server" in answer.headers:
        assert "nginx/1.22.1" in said


@pytest.mark.parametrize(("answer", "hint"), STRANGE)
def test_a_success_of_another_server_is_no_success(
    gateway: MadeUpGateway, client: Client, answer: Answer, hint: str
) -> None:
    gateway.prepare(IMAGES, answer)
    with pytest.raises(StrangeAnswer) as caught:
        client.upload(CAT)
    said = str(caught.value)
    assert said.startswith(str(answer.status))
    assert hint in said
    assert NOT_OURS in said
    assert "\n" not in said


def test_a_redirect_to_https_says_which_url_to_use(gateway: MadeUpGateway, client: Client) -> None:
    place = gateway.url.replace("http:", "https:") + "/healthz"
    gateway.prepare("/healthz", Answer(301, b"", {"Location": place}))
    with pytest.raises(Refused, match=r"wants HTTPS: use a URL that begins with https://127\.0\.0\.1"):
        client.ping()


def test_nothing_is_taken_for_done_that_a_login_page_answered(gateway: MadeUpGateway, client: Client) -> None:
    image = client.upload(CAT)
    for answer in (Answer(200, PAGE, HTML), Answer(404, PAGE, HTML)):
        gateway.prepare(f"{IMAGES}/{image.id}", answer)
        with pytest.raises(WildtagError, match=NOT_OURS):
            client.delete(image.id)
    assert client.delete(image.id)


def test_a_page_is_no_stream_of_events(gateway: MadeUpGateway, client: Client) -> None:
    gateway.prepare("/v1/feed", Answer(200, PAGE, HTML))
    with pytest.raises(StrangeAnswer, match="login page"):
        next(client.feed())


def test_a_page_in_place_of_the_health_check_is_noticed(gateway: MadeUpGateway, client: Client) -> None:
    gateway.prepare("/healthz", Answer(200, PAGE, HTML))
    with pytest.raises(StrangeAnswer, match="captive portal"):
        client.ping()


def test_a_header_of_a_stranger_does_not_break_the_line(gateway: MadeUpGateway, client: Client) -> None:
    gateway.prepare(IMAGES, Answer(404, b"", {"Server": "bad\x1b[31m" + "x" * 500}))
    with pytest.raises(Refused) as caught:
        client.upload(CAT)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("path", ["", "/", "/tags", "/tags/", "/tags/#key=secret", "/tags/index.html?x"])
def test_the_url_may_have_a_path_as_it_is_in_the_browser(gateway: MadeUpGateway, path: str) -> None:
    with Client(gateway.url + path) as client:
        if "tags" in path:
            gateway.prepare("/tags/healthz", Answer())
        client.ping()
    (asked,) = gateway.asked
    assert asked.path == ("/tags/healthz" if "tags" in path else "/healthz")


@pytest.mark.parametrize("url", ["", "host", "ftp://host", "http://", "http://[::1", "http://host:port", "//host"])
def test_what_is_no_url_is_said(url: str) -> None:
    with pytest.raises(WildtagError, match="is not a gateway URL"):
        Client(url)


def test_a_pause_is_announced_with_its_length(gateway: MadeUpGateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "workers.client")
    gateway.prepare(IMAGES, problem(503, "busy", "too many wait", Retry_After="0.2"), Answer(502, PAGE, HTML))
    told: list[Waiting] = []
    with Client(gateway.url, patience=30, on_wait=told.append) as client:
        client.upload(CAT)
    first, second = told
    assert (first.seconds, first.attempt) == (0.2, 2)
    assert "too many wait" in str(first)
    assert 0 < second.seconds < 2
    assert second.attempt == 3
    assert 20 < second.left < 30
    assert "502 Bad Gateway" in str(second)
    assert [record.message for record in caplog.records if record.name == "workers.client"] == [*map(str, told)]


def test_the_library_prints_nothing(gateway: MadeUpGateway) -> None:
    """Also where requests are repeated, and where nothing is configured."""
    gateway.prepare(IMAGES, problem(503, "busy", Retry_After="0.1"), Answer(drop=True), Answer(502, PAGE, HTML))
    program = (
        "import sys, workers.client\n"
        "with workers.client.Client(sys.argv[1], patience=20) as client:\n"
        "    client.upload(b'image', wait=20)\n"
        "try:\n"
        "    workers.client.Client('http://127.0.0.1:1', patience=0.5).upload(b'image')\n"
        "except workers.client.Away:\n"
        "    pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program, gateway.url], capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(gateway.asked) >= 4


def run(tmp_path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "a.jpg").write_bytes(CAT)
    (tmp_path / "b.jpg").write_bytes(CAT + b"2")
    environment = {"PATH": "/usr/bin:/bin", "WILDTAG_HOME": str(tmp_path / "home"), "COLUMNS": "200", **variables}
    files = [str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")]
    return warm.wildtag("upload", *files, *arguments, env=environment)


def test_the_key_of_the_home_is_not_sent_to_another_gateway(gateway: MadeUpGateway, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    create_home_key(tmp_path / "home")
    assert run(tmp_path, WILDTAG_URL=gateway.url).returncode == 0
    assert gateway.asked
    assert all("authorization" not in asked.headers for asked in gateway.asked)


def test_the_command_announces_pauses_and_keeps_json_apart(gateway: MadeUpGateway, tmp_path: Path) -> None:
    gateway.prepare(IMAGES, *[problem(503, "busy", "too many wait", Retry_After="1")] * 2)
    done = run(tmp_path, "--json", "--url", gateway.url)
    assert done.returncode == 0, done.stderr
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 2
    (line,) = [line for line in done.stderr.splitlines() if "too many wait" in line]
    assert "Attempt 2 follows in 1.0 s, the last within 10 min." in line


def test_the_command_stops_at_a_login_page_with_one_line(gateway: MadeUpGateway, tmp_path: Path) -> None:
    gateway.prepare("/healthz", Answer(200, PAGE, HTML))
    done = run(tmp_path, WILDTAG_URL=gateway.url)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("wildtag: 200 OK: this response is not of a wildtag gateway, but of ")
    assert "login page" in line


def test_the_command_names_an_unusable_proxy_in_one_line(gateway: MadeUpGateway, tmp_path: Path) -> None:
    done = run(tmp_path, "--url", "https://tags.example", HTTPS_PROXY="foo:bar")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith(
        "wildtag: the environment variable HTTPS_PROXY names no proxy that can be used: 'http://foo:bar'"
    )
    direct = run(tmp_path, "--url", gateway.url, HTTPS_PROXY="foo:bar", ALL_PROXY="socks5://127.0.0.1:1",
                 http_proxy="http://127.0.0.1:1")  # fmt: skip
    assert direct.returncode == 0, direct.stderr


def test_a_socks_proxy_is_used_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    with Client("https://tags.example") as client, pytest.raises(Away, match=r"the gateway at tags\.example"):
        client.ping()
