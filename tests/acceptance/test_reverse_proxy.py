"""The stack behind a real nginx and a real Caddy, as documented: below a path, and without one."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from tests.acceptance import caddy
from tests.acceptance.images import one_pixel, photograph
from tests.acceptance.nginx import Nginx
from tests.acceptance.stack import Stack
from tests.browser import chromium
from tests.contract.gateway.running import events
from tests.eventually import eventually
from tests.warm import wildtag
from workers.client import ApiError, Client
from workers.embedded.ports import free_port
from workers.gateway.home_key import read_home_key

pytestmark = pytest.mark.timeout(600)

BARE = """
server {{
    listen 127.0.0.1:{port};
    location /tags/ {{ proxy_pass http://127.0.0.1:{gateway}/; proxy_set_header Host $http_host; }}
}}
server {{
    listen 127.0.0.1:{silent};
    location / {{ proxy_pass http://127.0.0.1:{gateway}; }}
}}
server {{
    listen 127.0.0.1:{whole};
    location / {{ proxy_pass http://127.0.0.1:{gateway}; proxy_set_header Host $http_host; proxy_buffering off; }}
}}
"""


@dataclass(frozen=True)
class Published:
    """The stack, and its addresses: as documented for nginx and for Caddy, with the path removed, without headers,
    without a path.
    """

    stack: Stack
    nginx: Nginx
    key: str
    direct: str
    flower: str
    documented: str
    caddy: str
    removed: str
    silent: str
    whole: str

    def client(self, url: str, **headers: str) -> httpx.Client:
        """A client of one of the addresses, with the key."""
        bearer = {"Authorization": f"Bearer {self.key}", **headers}
        return httpx.Client(base_url=url, headers=bearer, verify=self.nginx.tls, timeout=30)


@pytest.fixture(scope="module")
def published(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    folder = tmp_path_factory.mktemp("published")
    home = folder / "home"
    shutil.copytree(prepared, home)
    gateway, flower, removed, silent, whole, by_caddy = (free_port(0) for _ in range(6))
    more = BARE.format(gateway=gateway, port=removed, silent=silent, whole=whole)
    nginx = Nginx(folder, gateway, flower, more)
    public = f"https://127.0.0.1:{nginx.port}"
    stack = Stack(
        home, WILDTAG_ROOT_PATH="/tags", WILDTAG_TRUSTED_PROXIES="127.0.0.1", WILDTAG_GATEWAY_PORT=str(gateway),
        WILDTAG_FLOWER_PORT=str(flower), WILDTAG_FLOWER_URL=f"{public}/flower",
        # an unusable proxy in the environment ends nothing
        ALL_PROXY="socks5://127.0.0.1:1", HTTPS_PROXY="foo:bar", http_proxy="http://127.0.0.1:1",
    )  # fmt: skip
    try:
        stack.start()
        key = read_home_key(home)
        assert key is not None
        with nginx.running(), caddy.running(folder, by_caddy, gateway, flower):
            yield Published(
                stack, nginx, key, f"http://127.0.0.1:{gateway}", f"{public}/flower", f"{public}/tags",
                f"https://127.0.0.1:{by_caddy}/tags",
                f"http://127.0.0.1:{removed}/tags", f"http://127.0.0.1:{silent}", f"http://127.0.0.1:{whole}",
            )  # fmt: skip
    finally:
        stack.kill()


@pytest.mark.parametrize("where", ["documented", "caddy", "removed", "whole"])
def test_an_image_is_uploaded_followed_and_reported_through_a_proxy(published: Published, where: str) -> None:
    with published.client(getattr(published, where)) as http:
        image = photograph("chelsea.png") if where == "documented" else one_pixel() + where.encode()
        with http.stream("GET", "/v1/feed") as feed:
            coming = events(feed)
            answer = http.post("/v1/images", content=image)
            assert answer.status_code == 202, answer.text
            place = answer.headers["location"]
            assert place.startswith("/tags/v1/images/")
            followed = urljoin(str(http.base_url), place)
            if where == "whole":  # it is published at another path than it says, and serves that one, too
                assert http.get(place).status_code == 200
            final: dict[str, Any] = {}
            eventually(lambda: final.update(http.get(followed, params={"wait": 20}).json()) or final["record"], 60)
            assert final["state"] == "done"
            assert next(event for event in coming if event.data.get("key") == final["key"]).name == "done"


@pytest.mark.parametrize("where", ["documented", "caddy"])
def test_documentation_and_redirects_have_the_path(published: Published, where: str) -> None:
    address = getattr(published, where)
    with published.client(address) as http:
        assert [one["url"] for one in http.get("/openapi.json").json()["servers"]] == ["/tags"]
        docs = http.get("/docs")
        assert docs.status_code == 200
        for name in ("docs.js", "docs/files/swagger-ui.css", "favicon.svg"):
            assert name in docs.text
            assert http.get(f"/{name}").status_code == 200
        assert '"openapi.json"' in http.get("/docs.js").text
        bare = http.get(address)
        assert urljoin(str(bare.url), bare.headers["location"]) == f"{address}/"
        form = http.post("/v1/uploads", json={"content_type": "image/png"}).json()
        assert form["url"].startswith(f"{address}/v1/uploads/")


@pytest.mark.parametrize("where", ["documented", "caddy"])
def test_the_session_of_the_page_is_for_the_path_and_for_https(published: Published, where: str) -> None:
    address = getattr(published, where)
    origin = address.removesuffix("/tags")
    with httpx.Client(base_url=address, verify=published.nginx.tls) as http:
        assert http.get("/v1/objects").status_code == 401
        answer = http.post("/v1/session", json={"key": published.key}, headers={"Origin": origin})
        assert answer.status_code == 204, answer.text
        cookie = answer.headers["set-cookie"]
        assert "Path=/tags/" in cookie
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
        assert http.get("/v1/objects").status_code == 200  # its path is right: the client sends it
        assert http.delete("/v1/session", headers={"Origin": origin}).status_code == 204
        assert http.get("/v1/objects").status_code == 401


@pytest.mark.parametrize("where", ["documented", "caddy", "removed", "silent", "whole", "direct"])
def test_nobody_gets_the_rights_of_this_machine_s_user_through_the_proxy(published: Published, where: str) -> None:
    with httpx.Client(base_url=getattr(published, where), verify=published.nginx.tls) as http:
        answer = http.get("/v1/objects")
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
        assert http.post("/v1/events/minio", json={}).status_code == 401
        assert http.get("/healthz").text == "alive\n"


@pytest.mark.parametrize("where", ["documented", "caddy"])
def test_flower_is_published_below_its_path(published: Published, where: str) -> None:
    flower = getattr(published, where).removesuffix("/tags") + "/flower"
    user, _, password = (published.stack.home / "flower.auth").read_text().strip().partition(":")
    with httpx.Client(verify=published.nginx.tls, follow_redirects=True, timeout=30) as http:
        assert http.get(f"{flower}/workers").status_code == 401
        assert http.get(f"{flower}/healthcheck").text == "OK"
        for path in ("/", "/workers", "/tasks"):
            page = http.get(f"{flower}{path}", auth=(user, password))
            assert page.status_code == 200
            assert "/flower/static/css/flower.css" in page.text
            assert 'value="flower" id="url_prefix"' in page.text
        assert http.get(f"{flower}/static/css/flower.css", auth=(user, password)).status_code == 200
        assert http.get(f"{flower}/api/workers", auth=(user, password)).status_code == 200
        removed = published.stack.info().addresses["flower"]  # as a proxy that removes the path asks it
        assert http.get(f"{removed}/workers", auth=(user, password)).status_code == 200
        assert http.get(f"{removed}/healthcheck").text == "OK"
    with published.client(published.documented) as http:
        assert http.get("/v1/status").json()["flower"] == published.flower


def test_the_client_library_and_the_command_line_take_the_url_with_the_path(
    published: Published, tmp_path: Path
) -> None:
    os.environ.pop("SSL_CERT_FILE", None)
    with Client(published.removed, published.key) as client:
        image = client.upload(one_pixel() + b"library", wait=60)
        assert image.state == "done"
        with pytest.raises(ApiError, match=r"^404 Not Found: .* not of a wildtag gateway, but of nginx") as caught:
            Client(published.removed.replace("/tags", "/other"), published.key).get(image.id)
        assert not caught.value.of_gateway
    (tmp_path / "a.png").write_bytes(one_pixel() + b"command")
    environment = {
        **os.environ, "WILDTAG_HOME": str(tmp_path / "home"), "WILDTAG_URL": published.documented,
        "WILDTAG_API_KEY": published.key, "SSL_CERT_FILE": str(published.nginx.trusted),
        "HTTPS_PROXY": "http://127.0.0.1:1",
    }  # fmt: skip
    run = wildtag("upload", "--wait", "--json", str(tmp_path / "a.png"), env=environment)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["state"] == "done"


def test_what_nginx_refuses_is_said_in_one_line(published: Published) -> None:
    with (
        Client(published.removed, published.key) as client,
        pytest.raises(ApiError, match=r"^413 Request Entity Too Large: .*nginx.*client_max_body_size"),
    ):
        client.upload(one_pixel().ljust(1_100_000, b"\0"))


def test_the_page_works_below_the_path(published: Published) -> None:
    if (lacking := chromium.missing()) is not None:
        pytest.skip(chromium.MISSING.format(lacking))
    from playwright.sync_api import FilePayload, expect, sync_playwright  # noqa: PLC0415

    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.program(), args=chromium.FLAGS)
        page = browser.new_context(ignore_https_errors=True).new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        outside: list[str] = []
        page.on("request", lambda request: outside.append(request.url) if "/tags/" not in request.url else None)
        page.goto(f"{published.documented}/#key={published.key}")
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        page.set_input_files(
            "#files", FilePayload(name="c.png", mimeType="image/png", buffer=photograph("coffee.png"))
        )
        card = page.get_by_role("article", name="c.png", exact=True)
        expect(card).to_have_attribute("data-state", "done")
        expect(page.locator("#wall [data-oid]").first).to_be_visible()
        expect(card.get_by_role("img")).to_have_attribute("src", re.compile("/tags/v1/thumbnails/"))
        page.goto(f"{published.documented}/docs")
        expect(page.get_by_text("/v1/images").first).to_be_visible()
        assert faults == []
        assert [url for url in outside if not url.startswith(("blob:", "data:"))] == []
        browser.close()
