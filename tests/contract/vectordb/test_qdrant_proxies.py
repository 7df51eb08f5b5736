"""A Qdrant server on this machine is reached without the proxies of the environment, usable or not."""

from __future__ import annotations

import pytest

from tests.contract.made_up_qdrant import MadeUpQdrant
from vectordb.proxies import NAMES, UnusableProxy
from vectordb.server_client import ask, connect


@pytest.mark.parametrize("value", ["http://127.0.0.1:1", "foo:bar", "socks5://127.0.0.1:1"])
def test_no_proxy_is_between(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.lower(), value)
    server = MadeUpQdrant("space", 4)
    server.start()
    try:
        client = connect(server.url, grpc=False)
        assert ask(client.get_aliases).aliases
        client.close()
    finally:
        server.stop()


def test_grpc_is_told_as_well() -> None:
    here, elsewhere = connect("http://localhost:1"), connect("http://qdrant.example:1")
    assert here.init_options["grpc_options"]["grpc.enable_http_proxy"] == 0
    assert "grpc.enable_http_proxy" not in elsewhere.init_options["grpc_options"]


def test_an_unusable_proxy_to_another_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "foo:bar")
    with pytest.raises(UnusableProxy, match="https_proxy"):
        connect("https://qdrant.example")
