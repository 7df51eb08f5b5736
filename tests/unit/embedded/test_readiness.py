"""The stack asks its own services whether they are ready, without the proxies of the environment."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.contract.made_up_gateway import made_up_gateway

PROGRAM = "import sys; from workers.embedded.stack import _answers; print(_answers(int(sys.argv[1]), 'healthz')())"


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "foo:bar", "socks5://127.0.0.1:1"])
def test_no_proxy_is_asked_about_this_machine(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    with made_up_gateway() as gateway:
        asked = [sys.executable, "-c", PROGRAM, gateway.url.rpartition(":")[2]]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr
