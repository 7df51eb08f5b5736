"""Proxies of the environment: what httpx could not use is named, and this machine is never asked through one."""

from __future__ import annotations

import httpx
import pytest

from vectordb.proxies import NAMES, UnusableProxy, httpx_options, require_usable, this_machine

UNUSABLE = ["foo:bar", "socks4://x:1", "ftp://a:1", "://x", "http://[::1", "http://h:0", "http://", "http://h:99999"]
USABLE = [
    "socks5://127.0.0.1:1",
    "socks5h://h:1",
    "127.0.0.1:3128",
    "HTTP://h:80",
    "proxy.example",
    "[::1]:3128",
    " ",
]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("value", UNUSABLE)
@pytest.mark.parametrize("name", [*NAMES, *map(str.lower, NAMES)])
def test_an_unusable_proxy_is_named_with_its_variable(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UnusableProxy, match=rf"environment variable {name} ") as caught:
        httpx_options("https://tags.example")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", USABLE)
def test_what_httpx_can_use_is_let_through(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    httpx.Client(**httpx_options("https://tags.example")).close()


def test_the_password_of_a_proxy_is_not_shown() -> None:
    word = "hidden-word"
    with pytest.raises(UnusableProxy) as caught:
        require_usable({"HTTPS_PROXY": f"socks4://me:{word}@proxy.example:1"})
    assert word not in str(caught.value)
    assert "proxy.example" in str(caught.value)


@pytest.mark.parametrize("word", ["[::1]", "foo:bar", "fe80::/10", "http://x:y"])
def test_a_word_of_no_proxy_that_httpx_cannot_read_is_named(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", f"localhost,{word}")
    with pytest.raises(UnusableProxy, match="no_proxy has"):
        httpx_options("https://tags.example")
    with pytest.raises(httpx.InvalidURL):  # otherwise the check would be too strict
        httpx.Client()


@pytest.mark.parametrize("word", ["::1", "*", ".example", "*.example", "10.0.0.0/8", "host:8080", "", "localhost"])
def test_usual_words_of_no_proxy_are_fine(word: str) -> None:
    require_usable({"no_proxy": f"127.0.0.1, {word}", "NO_PROXY": word})


@pytest.mark.parametrize("host", [
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "0.0.0.0",  # noqa: S104 -- compared
    "::ffff:127.0.0.1",
])  # fmt: skip
def test_this_machine_is_recognised(host: str) -> None:
    assert this_machine(host)


@pytest.mark.parametrize("host", ["", "tags.example", "localhost.example", "10.0.0.1", "::2", "128.0.0.1"])
def test_other_machines_are_not(host: str) -> None:
    assert not this_machine(host)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://localhost:1", "http://[::1]:1"])
def test_this_machine_is_reached_directly_whatever_the_environment_says(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "foo:bar")
    with httpx.Client(**httpx_options(url)) as client, pytest.raises(httpx.ConnectError):
        client.get(url)
