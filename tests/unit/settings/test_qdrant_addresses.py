"""Which lists of addresses name a Qdrant cluster, and how all else is refused: in one line, without a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.warm import wildtag
from vectordb.server_addresses import Address, BadAddress, addresses
from workers.settings.settings import Settings

SECRET = "hunter2"  # noqa: S105 -- nobody's


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://one:6333", ["http://one:6333"]),
        ("http://one", ["http://one"]),
        (" http://one:1 ,\thttps://two:2/qdrant/ , ", ["http://one:1", "https://two:2/qdrant"]),
        ("http://one:1,,http://two:1,", ["http://one:1", "http://two:1"]),
        ("http://ONE:1,http://one:1/,HTTP://one:1", ["http://one:1"]),
        ("http://[::1]:6333,http://[fe80::1%25eth0]", ["http://[::1]:6333", "http://[fe80::1%25eth0]"]),
        ("http://10.0.0.1:1,http://node_2.qdrant-headless.svc:1", None),
    ],
)
def test_lists_of_addresses(given: str, kept: list[str] | None) -> None:
    kept = kept or given.split(",")
    assert [address.url for address in addresses(given)] == kept
    assert Settings(qdrant_url=given).qdrant_url == ",".join(kept)


@pytest.mark.parametrize(
    "wrong",
    [
        ",", " , ", "one:6333", "localhost", "http://", "http://:6333", "ftp://one", "http://one:0", "http://one:65536",
        "http://one:port", "http://one:", "http://one two", "http://one:6333 http://two:6333", "http://one;http://two",
        "http://one,two", "http://[::1", "http://[one]:1", "http://[::1]x:1", "http://::1", "http://one#x",
        "/srv/folder", ":memory:", "http//one", "http://one?", "http://one\\two", "http://one,https://", "http://o\x00ne",
        f"http://me:{SECRET}@one", f"http://me:{SECRET}@one:1,http://two", f"me:{SECRET}@one",
        f"http://one?api_key={SECRET}", f"http://me:{SECRET},x@one", f"http://me:{SECRET}/x@one",
        f"http://one#{SECRET}",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_its_secrets(wrong: str) -> None:
    with pytest.raises(BadAddress) as raised:
        addresses(wrong)
    assert SECRET not in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(ValidationError) as refused:
        Settings(qdrant_url=wrong)
    (error,) = refused.value.errors()
    assert error["loc"] == ("qdrant_url",)
    assert SECRET not in error["msg"]


def test_an_address_has_its_parts() -> None:
    one = Address("http://[::1]/x")
    assert (one.rest, one.host, one.exposed) == ("http://[::1]:6333/x", "::1", False)
    assert Address("https://q.example").rest == "https://q.example:6333"
    assert Address("http://q.example:1").exposed
    assert not Address("https://q.example:1").exposed


def test_ports_of_grpc_are_one_for_all_or_one_for_each() -> None:
    three = "http://one,http://two,http://three"
    assert [one.grpc_port for one in addresses(three)] == [6334] * 3
    assert [one.grpc_port for one in addresses(three, (1, 0, 3))] == [1, 0, 3]
    with pytest.raises(BadAddress, match="2 gRPC ports"):
        addresses(three, (1, 2))


@pytest.mark.parametrize(
    ("given", "fine"),
    [("6334", True), ("0", True), ("1, 2,3", True), ("1,2", False), ("x", False), ("1,2,65536", False), (",", False)],
)
def test_ports_as_a_setting(monkeypatch: pytest.MonkeyPatch, given: str, fine: bool) -> None:
    monkeypatch.setenv("WILDTAG_QDRANT_URL", "http://one,http://two,http://three")
    monkeypatch.setenv("WILDTAG_QDRANT_GRPC_PORT", given)
    if not fine:
        with pytest.raises(ValidationError) as raised:
            Settings()
        assert {error["loc"][0] for error in raised.value.errors()} == {"qdrant_grpc_port"}
        return
    settings = Settings()
    for name, value in settings.environment().items():  # another process gets the same
        monkeypatch.setenv(name, value)
    assert Settings() == settings


@pytest.mark.parametrize(
    "command", [["status"], ["captions", "list"], ["dispatcher"], ["worker", "retrieval"], ["up"]]
)
def test_every_command_refuses_in_one_line(tmp_path: Path, command: list[str]) -> None:
    given = {"WILDTAG_HOME": str(tmp_path), "WILDTAG_QDRANT_URL": f"http://one,http://me:{SECRET}@two",
             "WILDTAG_QDRANT_GRPC_PORT": "1,2"}  # fmt: skip
    done = wildtag(*command, env=os.environ | given)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("wildtag: WILDTAG_QDRANT_URL=***: ")
    assert SECRET not in done.stderr
