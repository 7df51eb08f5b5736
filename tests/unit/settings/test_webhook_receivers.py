"""The receivers of webhooks: of the variables and of a file, whose faults are named without its secrets."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

import pytest
from pydantic import ValidationError

from workers.diagnostics.check import Check
from workers.diagnostics.webhook_checks import webhook_checks
from workers.settings.settings import Settings
from workers.settings.webhook_kinds import KINDS, RESULTS, kinds_of, receiver_url
from workers.settings.webhook_receivers import BadReceivers, Receiver, chosen, receivers_of

CHANCE = random.Random(5)
ONE, TWO = (f"whsec_{base64.b64encode(CHANCE.randbytes(32)).decode()}" for _ in range(2))
URL = "https://shop.example/hooks/a-token"


def read(tmp_path: Path, content: str, name: str = "receivers.toml", **settings: object) -> list[Receiver]:
    (tmp_path / name).write_text(content)
    return receivers_of(Settings(notify_file=tmp_path / name, **settings))  # type: ignore[arg-type]  # of any setting


def test_without_any_there_is_none() -> None:
    assert receivers_of(Settings()) == []


def test_the_variables_make_the_receiver_default_which_gets_what_it_got_before() -> None:
    (one,) = receivers_of(Settings(notify_url=URL, notify_secret=f"{ONE},{TWO}", notify_attempts=4))
    assert (one.name, one.url, one.attempts, len(one.keys)) == ("default", URL, 4, 2)
    assert one.kinds == set(RESULTS)
    assert not one.from_beginning
    assert "a-token" not in repr(one)
    assert one.place == "https://shop.example"


def test_a_file_has_several_and_the_variables_fill_what_they_lack(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/shop").write_text(f"{ONE}\n{TWO}\n")
    (tmp_path / "url").write_text("http://[::1]:8000/x\n")
    found = read(tmp_path, f"""
        [shop]
        url = "{URL}"
        secret_file = "secrets/shop"
        events = ["object.*", "batch.finished"]
        timeout_s = 3
        [crm-2]
        url_file = "url"
        secret = "{ONE}"
        events = "object.removed"
        from_beginning = true
        """, notify_at_once=2, notify_url=URL, notify_secret=TWO)  # fmt: skip
    crm, default, shop = found
    assert [one.name for one in found] == ["crm-2", "default", "shop"]
    assert (crm.place, crm.timeout_s) == ("http://[::1]:8000", 15.0)
    assert crm.kinds == {"object.removed"}
    assert (crm.from_beginning, shop.from_beginning) == (True, False)
    assert shop.kinds == set(KINDS)
    assert (len(shop.keys), shop.timeout_s, shop.at_once) == (2, 3.0, 2)
    assert default.keys == (shop.keys[1],)
    assert [one.name for one in chosen(found, "shop")] == ["shop"]


@pytest.mark.parametrize("name", ["receivers.json", "receivers"])
def test_a_file_may_be_json(tmp_path: Path, name: str) -> None:
    (one,) = read(tmp_path, json.dumps({"shop": {"url": URL, "secret": [ONE, TWO]}}), name)
    assert (one.name, len(one.keys)) == ("shop", 2)


GOOD = f'url = "{URL}"\nsecret = "{ONE}"\n'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "names no receiver"), ("[shop", "is not TOML"), ("shop = 1", "not a table"),
        ('{"shop": ', "is not JSON: line 1"),
        (f"[Shop]\n{GOOD}", "a name has"), (f'["a b"]\n{GOOD}', "a name has"),
        (f'["{"x" * 41}"]\n{GOOD}', "a name has"),
        (f'[shop]\nsecret = "{ONE}"', "either url or url_file"),
        (f'[shop]\nurl = "{URL}"', "either secret or secret_file"),
        (f'[shop]\n{GOOD}secret_file = "x"', "either secret or secret_file"),
        (f'[shop]\nurl = "{URL}"\nsecret_file = "none"', "cannot be read: No such file"),
        (f'[shop]\nurl = "ftp://x"\nsecret = "{ONE}"', "not a URL"),
        (f'[shop]\nurl = "https://x:99999/"\nsecret = "{ONE}"', "not a URL"),
        (f'[shop]\nurl = "{URL}"\nsecret = "whsec_{base64.b64encode(b"short").decode()}"', "secret: must be whsec_"),
        (f'[shop]\n{GOOD}events = ["object.finished"]', "no events 'object.finished'; there are object.done"),
        (f"[shop]\n{GOOD}events = []", "no kind of event"),
        (f'[shop]\n{GOOD}sekret = "x"', "sekret"), (f'[shop]\n{GOOD}attempts = "many"', "attempts"),
        (f"[shop]\n{GOOD}attempts = 0", "attempts"), (f'[shop]\n{GOOD}timeout_s = "{ONE}"', "timeout_s"),
        (f"[default]\n{GOOD}", "is in .* and in WILDTAG_NOTIFY_URL"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_without_a_secret(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(BadReceivers, match=said) as raised:
        read(tmp_path, content, notify_url=URL, notify_secret=TWO)
    assert ONE not in str(raised.value)
    assert "a-token" not in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadReceivers, match=r"WILDTAG_NOTIFY_FILE cannot be read: No such file .*none\.toml"):
        receivers_of(Settings(notify_file=tmp_path / "none.toml"))


def test_kinds_may_be_named_together() -> None:
    assert kinds_of(["*"]) == set(KINDS)
    assert kinds_of(["object.*"]) == set(KINDS) - {"batch.finished"}
    assert kinds_of(["batch.*", "object.done"]) == {"batch.finished", "object.done"}
    for wrong in ("object.[a-z]*", "obj*", "", "webhook.test"):
        with pytest.raises(ValueError, match="there are no events"):
            kinds_of([wrong])
    with pytest.raises(ValidationError, match="notify_events"):
        Settings(notify_events=("object.gone",))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://user:pass@example.org:8443/a-token?key=x", "https://example.org:8443"),
        ("http://127.0.0.1/x", "http://127.0.0.1"), ("https://EXAMPLE.org", "https://example.org"),
    ],
)  # fmt: skip
def test_a_place_shows_nothing_that_may_be_secret(url: str, place: str) -> None:
    assert receiver_url(url) == place


def test_the_doctor_names_receivers_and_a_file_that_others_can_read(tmp_path: Path) -> None:
    file = tmp_path / "receivers.toml"

    def checks(file: Path | None = file) -> list[Check]:
        settings = Settings(notify_file=file)
        return list(webhook_checks(lambda: receivers_of(settings), file))

    assert checks(None) == []
    file.write_text(f"[shop]\n{GOOD}")
    file.chmod(0o600)
    (passed,) = checks()
    assert (passed.ok, passed.detail) == (True, "shop (https://shop.example)")
    file.chmod(0o644)
    assert [check.ok for check in checks()] == [True, None]
    file.write_text("[shop]")
    (failed,) = checks()
    assert failed.ok is False
