"""Flower is open to other machines only with a user and a password, which are shown nowhere."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from vectordb.errors import Permanent
from workers.cli.main import app
from workers.processes.flower import passwords_of, run_flower
from workers.settings.settings import Settings


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "flower.example"])  # noqa: S104 -- it is refused
def test_it_does_not_listen_for_everybody(address: str) -> None:
    with pytest.raises(Permanent, match="WILDTAG_FLOWER_AUTH"):
        run_flower(Settings(), 5555, address)


@pytest.mark.parametrize("wrong", ["password", "user:", ":password", "user:pass,word", "user:short", "u:a://b"])
def test_a_wrong_value_is_refused_and_not_repeated(
    wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WILDTAG_FLOWER_AUTH", wrong)
    monkeypatch.setattr("sys.argv", ["wildtag", "flower"])
    with pytest.raises(SystemExit) as ended:
        app()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "WILDTAG_FLOWER_AUTH=***" in said
    assert wrong not in said


@pytest.mark.parametrize("setting", ["redis_url", "broker_url"])
def test_a_password_of_redis_or_the_broker_that_is_too_short_to_be_hidden_is_refused(setting: str) -> None:
    for password in ("short", "%61%62"):  # as it is written, and as it is shown
        settings = Settings(flower_auth="me:://secret").model_copy(
            update={setting: f"redis://:{password}@localhost:1/0"}
        )  # fmt: skip
        with pytest.raises(Permanent, match="password of Redis or of the broker is shorter"):
            run_flower(settings, 5555)


def test_a_password_may_look_like_a_url() -> None:
    assert passwords_of("redis://:secret@h/0", "redis://h/0") == {"secret", ""}
    assert passwords_of("amqp://a:one@h/v;amqp://a:two@i/v") == {"one", "two"}
    assert Settings(flower_auth="me:http://a:bcd@h").flower_auth == "me:http://a:bcd@h"


@pytest.mark.parametrize("url", ["https://host/flower", "http://host:5555", "http://host/a/b/", "https://host/"])
def test_its_url_may_have_a_path(url: str) -> None:
    assert Settings(flower_url=url).flower_url == url


@pytest.mark.parametrize(
    "url", ["host/flower", "/flower", "ftp://host", "https://host/a b", "https://host:port/", "x"]
)
def test_what_is_no_url_of_it_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="expected a URL such as"):
        Settings(flower_url=url)


def test_doctor_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {f"WILDTAG_{name.upper()}" for name, field in Settings.model_fields.items() if not field.repr}
    assert {"WILDTAG_FLOWER_AUTH", "WILDTAG_QDRANT_API_KEY"} <= secrets
    values = dict.fromkeys(secrets, "somebody:hidden-value") | {  # two have forms of their own
        "WILDTAG_NOTIFY_URL": "https://example.org/hidden-value",
        "WILDTAG_NOTIFY_SECRET": f"whsec_{'hidden/value' * 3}",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("workers.diagnostics.doctor.examine", lambda *_: [])
    said = CliRunner().invoke(app, ["doctor"]).output
    shown = said + repr(Settings())
    assert not [name for name, value in values.items() if value in shown]
    assert "hidden" not in shown
    for name in secrets:
        assert f"{name}=***" in said
