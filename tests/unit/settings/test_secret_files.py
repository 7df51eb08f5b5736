"""Secrets from files: every secret setting, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.settings.names import unknown
from workers.settings.secret_files import BadSecretFile, without_files
from workers.settings.secret_settings import FILE_VARIABLES, SECRETS, file_variable
from workers.settings.settings import Settings
from workers.settings.variables import variable

KEY = "whsec_" + "QUFB" * 11
VALUES = {
    "redis_url": f"redis://:{KEY}@127.0.0.1:1/0", "broker_url": f"amqp://user:{KEY}@127.0.0.1:1/",
    "redis_target_url": "redis://127.0.0.1:1/0", "notify_url": "https://receiver.example/", "notify_secret": KEY,
    "flower_auth": "someone:opens it", "url": "https://host.example/",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_every_secret_can_come_from_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    value = VALUES.get(name, "sixteen-characters")
    file.write_text(f"{value}\n")
    monkeypatch.setenv(file_variable(name), str(file))
    if name == "notify_secret":
        monkeypatch.setenv("WILDTAG_NOTIFY_URL", "https://receiver.example/")
    if name == "notify_url":
        monkeypatch.setenv("WILDTAG_NOTIFY_SECRET", KEY)
    settings = Settings()
    assert getattr(settings, name) == value
    assert name in settings.model_fields_set
    own = settings.process_environment()
    assert own[variable(name)] == value
    assert file_variable(name) not in own


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_end_of_the_line_is_not_part_of_it(end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"\xef\xbb\xbf blank before it" + end.encode())
    monkeypatch.setenv("WILDTAG_S3_SECRET_KEY_FILE", str(file))
    found = Settings().s3_secret_key
    assert found == " blank before it"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"), (b"\n", "is empty"), (b" \n", "is empty"), (b"one\ntwo\n", "one line"),
        (b"\xff\xfe\0", "one line"), (b"a\0b", "one line"), (b"k" * 70_000, "one line"),
    ],
)  # fmt: skip
def test_what_holds_no_secret_is_refused_without_showing_it(
    content: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    monkeypatch.setenv("WILDTAG_ADMIN_KEY_FILE", str(file))
    with pytest.raises(BadSecretFile, match=said) as refused:
        Settings()
    assert str(refused.value).startswith("WILDTAG_ADMIN_KEY_FILE names ")
    assert not content.strip() or content.decode("latin-1")[:20] not in str(refused.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file, said in ((tmp_path / "none", "is missing"), (tmp_path, "is no file")):
        monkeypatch.setenv("WILDTAG_ADMIN_KEY_FILE", str(file))
        with pytest.raises(BadSecretFile, match=said):
            Settings()


def test_a_value_beside_a_file_is_refused_and_an_empty_variable_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text("sixteen-characters")
    monkeypatch.setenv("WILDTAG_ADMIN_KEY_FILE", str(file))
    monkeypatch.setenv("WILDTAG_ADMIN_KEY", "another-one-of-them")
    with pytest.raises(BadSecretFile, match="both set"):
        Settings()
    monkeypatch.setenv("WILDTAG_ADMIN_KEY", "")
    assert Settings().admin_key == "sixteen-characters"
    monkeypatch.setenv("WILDTAG_ADMIN_KEY_FILE", "")
    assert Settings().admin_key is None


def test_a_value_of_a_file_is_checked_as_that_of_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    file.write_text("short")
    monkeypatch.setenv("WILDTAG_WEBHOOK_TOKEN_FILE", str(file))
    with pytest.raises(ValueError, match="at least 8 characters"):
        Settings()


def test_only_secrets_have_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "bucket"
    file.write_text("elsewhere")
    monkeypatch.setenv("WILDTAG_BUCKET_FILE", str(file))
    assert Settings().bucket == "inbox"
    assert "WILDTAG_BUCKET_FILE is not a setting" in next(
        unknown({"WILDTAG_BUCKET_FILE": "x"}, Settings.model_fields)
    )
    assert not list(unknown(dict.fromkeys(FILE_VARIABLES, "x"), Settings.model_fields))
    assert without_files({"WILDTAG_ADMIN_KEY_FILE": "x", "PATH": "y"}) == {"PATH": "y"}


def test_no_variable_of_a_file_is_the_name_of_a_setting() -> None:
    assert not FILE_VARIABLES & set(map(variable, Settings.model_fields))


def test_several_keys_are_accepted_while_they_are_replaced() -> None:
    settings = Settings(admin_key="k" * 16 + "," + "l" * 16, webhook_token="t" * 8 + "," + "u" * 8)
    assert settings.admin_keys == ("k" * 16, "l" * 16)
    assert settings.webhook_tokens == ("t" * 8, "u" * 8)
    assert Settings().admin_keys == Settings().webhook_tokens == ()
    for wrong in ("k" * 16 + ",", "k" * 16 + ",short"):
        with pytest.raises(ValueError, match="at least 16 characters"):
            Settings(admin_key=wrong)
