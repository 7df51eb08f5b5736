"""Requests to receivers reach the public internet and what the operator has allowed, and nothing else."""

from __future__ import annotations

import ast
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import anyio
import httpx
import pytest
from pydantic import ValidationError

from tests.contract.certificates import certified
from tests.contract.receiver import Reply, receiving
from workers.outgoing import http_client
from workers.outgoing.address_policy import AddressPolicy, OutgoingRefused
from workers.outgoing.http_client import READ_MOST, OutgoingClient, Received
from workers.settings.settings import Settings

ROOT = Path(__file__).parents[2]

NOT_PUBLIC = [
    "0.0.0.0",  # noqa: S104 -- it is refused
    "0.1.2.3", "127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1",
    "169.254.169.254", "100.64.0.1", "100.127.255.254", "224.0.0.1", "239.255.255.250", "255.255.255.255",
    "240.0.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "192.88.99.1",
    "::", "::1", "fe80::1", "fe80::1%1", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1", "100::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1",
    "2001:0:7f00:1::", "2001::f5ff:fffe", "3fff::1", "5f00::1", "4000::1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]


def resolving(*answers: list[str]) -> tuple[Callable[[str, int], Awaitable[list[str]]], list[str]]:
    """A resolver that gives these answers, the last one for ever, and the names that it was asked for."""
    left, asked = list(answers), []

    async def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve, asked


def post(url: str, allow: tuple[str, ...] = (), timeout_s: float = 20.0, **options: object) -> Received:
    async def sent() -> Received:
        async with OutgoingClient(AddressPolicy.of(allow), timeout_s, **options) as client:  # type: ignore[arg-type]  # as given
            return await client.post(url, b"{}", {})

    return anyio.run(sent)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(OutgoingRefused, match="WILDTAG_OUTGOING_ALLOW"):
        AddressPolicy().allowed("receiver.example", [address])


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    assert AddressPolicy().allowed("receiver.example", [address]) == [address]


@pytest.mark.parametrize(
    "host", [
        "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0",
        "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "\u2460\u2461\u2466.0.0.1", "127\u30020\u30020\u30021",
        "someone@127.0.0.1",
    ],
)  # fmt: skip
def test_no_spelling_of_this_machine_reaches_it(host: str) -> None:
    with closing(socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)) as server:
        server.settimeout(0.2)
        with pytest.raises((OutgoingRefused, httpx.HTTPError, httpx.InvalidURL)):
            post(f"http://{host}:{server.getsockname()[1]}/", timeout_s=5.0)
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_name_is_resolved_once_and_the_checked_address_is_used() -> None:
    """The second answer names another address, as a rebinding name server gives it."""
    resolve, asked = resolving(["127.0.0.1"], ["127.0.0.2"])
    with receiving() as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        received = post(f"http://rebinding.example:{port}/", ("127.0.0.1",), resolve=resolve)
    assert (received.status, asked) == (200, ["rebinding.example"])
    assert receiver.seen[0].headers["host"] == f"rebinding.example:{port}"


def test_of_several_addresses_only_those_that_pass_are_tried() -> None:
    resolve, _ = resolving(["169.254.169.254", "10.0.0.1", "127.0.0.1"])
    with receiving() as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        assert post(f"http://mixed.example:{port}/", ("127.0.0.1",), resolve=resolve).status == 200


def test_a_name_that_becomes_private_is_refused_on_the_next_connection() -> None:
    resolve, _ = resolving(["10.0.0.1"])
    with pytest.raises(OutgoingRefused, match=r"10\.0\.0\.1 is a private address"):
        post("http://becoming.example/", resolve=resolve)


def test_an_allowed_name_reaches_private_addresses_but_no_metadata_service() -> None:
    policy = AddressPolicy.of(["Receiver.LAN.", "10.0.0.0/8", "[fd00::1]"])
    assert policy.allowed("receiver.lan", ["192.168.1.5", "127.0.0.1"]) == ["192.168.1.5", "127.0.0.1"]
    assert policy.allowed("other.lan", ["10.9.9.9", "192.168.1.5", "fd00::1"]) == ["10.9.9.9", "fd00::1"]
    for address in ("169.254.169.254", "64:ff9b::a9fe:a9fe", "0.0.0.0", "224.0.0.1"):  # noqa: S104 -- as above
        with pytest.raises(OutgoingRefused):
            policy.allowed("receiver.lan", [address])
    assert AddressPolicy.of(["169.254.169.254"]).allowed("x", ["169.254.169.254"])
    with pytest.raises(OutgoingRefused):
        policy.allowed("receiver.lan.evil.example", ["192.168.1.5"])


@pytest.mark.parametrize(
    "wrong", ["http://receiver.lan/", "10.0.0.0/99", "a b", "127.1", "*", "receiver..lan", "0x7f.1"]
)
def test_an_entry_that_means_nothing_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError, match="outgoing_allow"):
        Settings(outgoing_allow=wrong)


def test_a_redirect_is_not_followed() -> None:
    with receiving() as elsewhere, receiving() as receiver:
        receiver.answer = lambda _: Reply(307, {"location": elsewhere.url})
        assert post(receiver.url, ("127.0.0.1",)).status == 307
        assert elsewhere.seen == []


def test_of_a_large_answer_only_the_beginning_is_read() -> None:
    sent = bytearray()
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def flood() -> None:
            connection, _ = server.accept()
            with closing(connection):
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
                try:
                    while len(sent) < 256 * 2**20:
                        connection.sendall(bytes(65536))
                        sent.extend(bytes(65536))
                except OSError:
                    return

        thread = threading.Thread(target=flood, daemon=True)
        thread.start()
        received = post(f"http://127.0.0.1:{server.getsockname()[1]}/", ("127.0.0.1",))
        thread.join(20)
    assert len(received.beginning) == READ_MOST
    assert len(sent) < 64 * 2**20


@pytest.mark.parametrize("headers", [b"x: " + b"y" * 2**20, b"".join(b"x%d: y\r\n" % n for n in range(100_000))])
def test_endless_headers_are_an_error(headers: bytes) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with closing(connection):
                connection.recv(65536)
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\n" + headers)
                except OSError:
                    return

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(httpx.RemoteProtocolError):
            post(f"http://127.0.0.1:{server.getsockname()[1]}/", ("127.0.0.1",))


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with receiving() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/hook"))
            monkeypatch.setenv(name.lower(), proxy.url.removesuffix("/hook"))
        yield proxy.url
        assert proxy.seen == []


@pytest.mark.usefixtures("proxied")
def test_a_proxy_of_the_environment_takes_no_request() -> None:
    with receiving() as receiver:
        assert post(receiver.url, ("127.0.0.1",)).status == 200
    with pytest.raises(OutgoingRefused):
        post("http://10.0.0.1/")


def test_tls_verifies_the_name_and_not_the_address(tmp_path: Path) -> None:
    """The certificate names 127.0.0.1, where the connection goes; the URL names another host."""
    trusted, tls = certified(tmp_path)
    names: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: names.append(name)
    resolve, _ = resolving(["127.0.0.1"])
    with receiving(tls) as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        assert post(receiver.url, ("127.0.0.1",), ca_file=trusted).status == 200
        with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
            post(f"https://named.example:{port}/", ("127.0.0.1",), ca_file=trusted, resolve=resolve)
    assert names[-1] == "named.example"
    assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED


def test_nothing_else_in_the_processes_makes_requests_of_its_own() -> None:
    """httpx is for this client, for wildtag's own client, and for data sets that a person asks for."""
    may = {"workers/outgoing/", "workers/client/", "workers/captions/datasets/", "workers/notifying/posting.py"}
    for path in (ROOT / "workers").rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        imported = {
            alias.name.partition(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        if not name.startswith(tuple(may)):
            assert not imported & {"httpx", "httpcore", "requests", "aiohttp"}, name
    assert "AsyncClient(" not in (ROOT / "workers/notifying/posting.py").read_text()
    assert http_client.OutgoingClient.__module__ == "workers.outgoing.http_client"
