"""A real Flower over a real Redis and a real worker: no answer holds a secret, and a stranger gets no answer."""

from __future__ import annotations

import html
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from flower.urls import handlers  # type: ignore[import-untyped]  # it has no types

from tests.eventually import eventually
from workers.embedded.ports import free_port
from workers.embedded.stack import command
from workers.redis.connection import connect
from workers.redis.server_program import choose_server
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

USER = "operator"
FLOWER_PASSWORD = "SeededFlowerPassword-5c41"  # noqa: S105 -- seeded, to be looked for
PLAIN = "SeededRedisPassword-9f2e77"
SPECIAL = "Seeded<Redis>&'\"Pass/word@9f:2e"
WORKER = "extraction"


@dataclass(frozen=True)
class Monitored:
    """A running Flower, and the secrets that its broker's URL holds."""

    address: str
    worker: str
    task: str
    password: str
    read_only: bool

    def get(self, path: str, method: str = "GET", **options: object) -> httpx.Response:
        """Ask with the password."""
        return self.ask(path, method, auth=(USER, FLOWER_PASSWORD), **options)

    def ask(self, path: str, method: str = "GET", **options: object) -> httpx.Response:
        """Ask as a stranger, unless ``auth`` is given."""
        given = {"timeout": 30.0, **options}
        return httpx.request(method, f"{self.address}{path}", trust_env=False, **given)  # type: ignore[arg-type]  # httpx's own

    def paths(self) -> list[str]:
        """Every route of Flower, with the names of what is there in its place."""
        names = {"/worker/": self.worker, "/api/worker/": self.worker, "/task/": self.task, "/api/task/": self.task}
        found = []
        for handler in handlers:
            pattern = getattr(handler, "regex", None)
            route = (pattern.pattern if pattern is not None else str(handler[0])).rstrip("$")
            if route == ".*":
                found += ["/no/such/page", "/flowerconfig.py"]
                continue
            name = next((name for start, name in names.items() if route.startswith(start)), "css/flower.css")
            found.append(route.replace("(.+)", name).replace("(.*)", name).replace("/?", ""))
        return found


@pytest.fixture(scope="module", params=["socket", pytest.param("tcp", marks=pytest.mark.long)])
def monitored(request: pytest.FixtureRequest) -> Iterator[Monitored]:
    """As the embedded stack has it, and as Compose has it, with a password of special characters."""
    folder = Path(tempfile.mkdtemp(prefix="wt-", dir="/tmp"))
    password, redis_port, port = (PLAIN if request.param == "socket" else SPECIAL), free_port(0), free_port(0)
    read_only = request.param == "socket"  # the default
    quoted = quote(password, safe="")
    escaped = password.replace("\\", "\\\\").replace('"', '\\"')
    (folder / "redis.conf").write_text(
        f'port {redis_port}\nbind 127.0.0.1\nunixsocket {folder}/redis.sock\nrequirepass "{escaped}"\nsave ""\n'
        f"dir {folder}\n"
    )
    if request.param == "socket":
        urls = f"unix://:{quoted}@{folder}/redis.sock?db=0", f"redis+socket://:{quoted}@{folder}/redis.sock"
    else:
        urls = (f"redis://:{quoted}@127.0.0.1:{redis_port}/0",) * 2
    environment = {
        **os.environ, "WILDTAG_HOME": str(folder), "WILDTAG_REDIS_URL": urls[0], "WILDTAG_BROKER_URL": urls[1],
        "WILDTAG_FLOWER_AUTH": f"{USER}:{FLOWER_PASSWORD}", "WILDTAG_FLOWER_URL": "http://flower.example:5555",
        "FLOWER_UNAUTHENTICATED_API": "true", **({} if read_only else {"WILDTAG_FLOWER_READ_ONLY": "false"}),
    }  # fmt: skip
    (folder / "flowerconfig.py").write_text("raise SystemExit('Python of the current folder was run')\n")
    output = (folder / "output").open("wb")
    started = [
        subprocess.Popen(arguments, env=environment, cwd=folder, stdout=output, stderr=output)
        for arguments in (
            [str(choose_server().program.path), str(folder / "redis.conf")],
            command("worker", WORKER),
            command("flower", "--port", str(port)),
        )
    ]
    try:
        settings = Settings(redis_url=urls[0], broker_url=urls[1])
        wiring = Wiring(settings)
        eventually(lambda: connect(urls[0]).ping(), 20, despite=(Exception,))
        address = f"http://127.0.0.1:{port}"
        asked = {"auth": (USER, FLOWER_PASSWORD), "trust_env": False, "timeout": 30.0}

        def workers() -> list[str]:
            wiring.publisher.probe(WORKER, 30.0)
            found: list[str] = list(httpx.get(f"{address}/api/workers?refresh=1", **asked).json())  # type: ignore[arg-type]
            return found

        def tasks() -> list[str]:
            return list(httpx.get(f"{address}/api/tasks", **asked).json())  # type: ignore[arg-type]

        said = (folder / "output").read_text
        worker = eventually(workers, 90, said, every_s=0.5, despite=(httpx.HTTPError, ValueError))[0]
        task = eventually(tasks, 60, said, every_s=0.5, despite=(httpx.HTTPError, ValueError))[0]
        yield Monitored(address, worker, task, password, read_only)
        log = (folder / "output").read_text()
        assert password not in log
        assert FLOWER_PASSWORD not in log
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        output.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.long
def test_no_route_answers_a_stranger(monitored: Monitored) -> None:
    paths = monitored.paths()
    assert len(paths) > 25
    for path in paths:
        for method in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
            wanted = (200, 405, 204) if path == "/healthcheck" else (401,)
            assert monitored.ask(path, method).status_code in wanted, (method, path)


@pytest.mark.parametrize(
    "header", [
        "", "Basic", "Basic !!!", "basic", "Bearer x", "Basic Og==", f"Basic {USER}:{FLOWER_PASSWORD}", "Basic \xff",
    ],
)  # fmt: skip
def test_no_other_credentials_pass(monitored: Monitored, header: str) -> None:
    for path in ("/", "/metrics", "/api/workers"):
        answer = monitored.ask(path, headers=[(b"authorization", header.encode("latin-1"))])
        assert answer.status_code == 401
        assert "Basic" in answer.headers["www-authenticate"]


def test_a_path_beside_the_health_check_is_no_way_around(monitored: Monitored) -> None:
    for path in ("/healthcheck/", "/healthcheck/../metrics", "//healthcheck", "/HEALTHCHECK",
                 "/healthcheck%2f..%2fmetrics",
                 "/metrics?/healthcheck", "/metrics;/healthcheck", "/%68ealthcheck"):  # fmt: skip
        answer = httpx.Request("GET", monitored.address)
        answer.url = answer.url.copy_with(raw_path=path.encode())
        with httpx.Client(trust_env=False) as client:
            found = client.send(answer)
        assert found.status_code == 401, path


def test_no_answer_holds_a_secret(monitored: Monitored) -> None:
    seen = 0
    for path in [*monitored.paths(), "/workers?json=1", "/workers?refresh=1", "/api/workers?refresh=1&status=1",
                 f"/api/workers?workername={monitored.worker}&refresh=1", "/broker", "/tasks/datatable?draw=1",
                 f"/worker/{monitored.worker}?limit=100"]:  # fmt: skip
        for method in ("GET", "POST"):
            if method == "POST" and any(word in path for word in ("shutdown", "restart", "shrink", "cancel")):
                continue  # the worker is still needed
            answer = monitored.get(path, method)
            text = answer.text + "".join(f"{name}: {value}\n" for name, value in answer.headers.items())
            seen += answer.status_code == 200
            for secret in (monitored.password, FLOWER_PASSWORD):
                for form in (secret, quote(secret), quote(secret, safe=""), html.escape(secret)):
                    assert form not in text, (method, path)
    assert seen > 8
    page = monitored.get(f"/worker/{monitored.worker}")
    assert page.status_code == 200
    assert "redis" in page.text, "the broker is shown, without its password"


def test_the_worker_itself_gives_no_password_away(monitored: Monitored) -> None:
    """Whoever else can ask workers, such as `celery inspect`, gets none either."""
    broker = monitored.get(f"/api/workers?workername={monitored.worker}&refresh=1").json()[monitored.worker]["stats"]
    assert "***" not in str(broker["broker"]), "hidden at its source, before Flower has to replace it"
    assert "**" in str(broker["broker"]["hostname"]) or broker["broker"]["hostname"] == "127.0.0.1"


@pytest.mark.parametrize("path", ["/", "/healthcheck", "/metrics", "/api/workers"])
@pytest.mark.parametrize(
    ("host", "allowed"), [
        ("localhost:5555", True), ("LOCALHOST", True), ("127.0.0.1", True), ("[::1]:5555", True),
        ("192.0.2.1:5555", True), ("flower.example", True), ("Flower.Example:80", True),
        ("rebound.example", False), ("localhost.rebound.example", False), ("127.0.0.1.rebound.example", False),
        ("flower.example.rebound.example", False), ("flower.example@rebound.example", False), ("", False),
        ("localhost:x", False), ("[::1", False),
    ],
)  # fmt: skip
def test_a_page_that_rebinds_its_name_is_refused(monitored: Monitored, path: str, host: str, allowed: bool) -> None:
    answer = monitored.get(path, headers={"host": host})
    assert (answer.status_code == 200) == allowed
    assert allowed or answer.status_code in {400, 403}


def test_another_site_cannot_send_commands_with_the_password_of_a_browser(monitored: Monitored) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}):
        answer = monitored.get(f"/api/worker/pool/grow/{monitored.worker}", "POST", headers=headers)
        assert answer.status_code == 403
    assert monitored.get("/").headers["x-frame-options"] == "DENY"


CHANGES = ("worker-shutdown", "worker-pool-grow", "task-timeout", "task-rate-limit", "worker-cancel-consumer",
           "worker-add-consumer", "task-revoke", "task-terminate")  # fmt: skip


def test_where_flower_only_shows_nothing_can_be_changed(monitored: Monitored) -> None:
    pages = [monitored.get(f"/worker/{monitored.worker}"), monitored.get(f"/task/{monitored.task}")]
    assert [page.status_code for page in pages] == [200, 200]
    shown = [button for button in CHANGES if any(button in page.text for page in pages)]
    if not monitored.read_only:
        assert len(shown) > 4, "the names of the buttons are those of Flower"
        answer = monitored.get(
            "/api/task/rate-limit/no-such-task", "POST", data={"workername": "x", "ratelimit": "1"}
        )
        assert answer.status_code == 404
        return
    assert not shown
    assert monitored.get("/tasks/datatable?draw=1&start=0&length=5&order[0][column]=0", "POST").status_code == 200, (
        "reads"
    )
    for path in set(monitored.paths()) - {"/healthcheck"}:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            if (method, path) == ("POST", "/tasks/datatable"):
                continue
            answer = monitored.get(path, method)
            assert answer.status_code == 403, (method, path)
            assert "WILDTAG_FLOWER_READ_ONLY" in answer.text


def test_the_password_is_not_on_a_command_line(monitored: Monitored) -> None:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes()
        except OSError:
            continue
        assert FLOWER_PASSWORD.encode() not in words
        assert monitored.password.encode() not in words
