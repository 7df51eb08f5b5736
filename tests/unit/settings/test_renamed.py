"""What had another name in an older version: records are read all the same, settings and options name the new one."""

from __future__ import annotations

import msgspec
import pytest

from vectordb.errors import Permanent
from workers.cli.main import app
from workers.client.answers import Record as ClientRecord
from workers.lifecycle.record import ArtifactKeys, Evidence, Record, Segmentation, decode
from workers.lifecycle.record_view import public_json
from workers.settings.settings import Settings

ARTIFACTS = ArtifactKeys(label_map="a.labels.png", overlay="a.overlay.jpg")
RECORD = Record(
    bucket="inbox", key="a.jpg", etag="1", state="done", space_id="s", captions_version="c@1",
    evidence=(Evidence('"segmentation":{"way":', 0.5),),
    segmentation=Segmentation(method="dense", width=4, height=2, artifacts=ARTIFACTS),
)  # fmt: skip


def of_an_older_version(record: Record) -> bytes:
    body = msgspec.json.decode(record.json())
    body["segmentation"] = {
        {"method": "way", "artifacts": "pictures"}.get(name, name): value
        for name, value in body["segmentation"].items()
    }
    return msgspec.json.encode(body)


def test_a_record_of_an_older_version_is_read_and_sent_with_todays_names() -> None:
    old = of_an_older_version(RECORD)
    assert decode(old) == RECORD
    assert decode(old).json() == RECORD.json()
    assert msgspec.json.decode(public_json(decode(old)), type=ClientRecord).segmentation == RECORD.segmentation
    assert b"pictures" not in RECORD.json()


def test_a_segmentation_without_a_method_is_none() -> None:
    with pytest.raises(msgspec.ValidationError, match="has a method"):
        msgspec.json.decode(b'{"width": 4}', type=Segmentation)


@pytest.mark.parametrize(
    ("old", "new"),
    [("WILDTAG_DIMMED", "WILDTAG_BACKGROUND_DIMMING"), ("WILDTAG_DRAWER", "WILDTAG_CLIPSEG_MODEL")],
)
def test_an_old_setting_is_refused_and_the_new_one_named(monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    monkeypatch.setenv(old, "")
    Settings()
    monkeypatch.setenv(old, "0.5")
    with pytest.raises(Permanent, match=f"^{old} has been renamed: set {new}$"):
        Settings()
    assert new.removeprefix("WILDTAG_").lower() in Settings.model_fields


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("segment", "a.jpg", "--way", "dense"), "--way has been renamed: use --method"),
        (("evaluate", "a.tsv", "--drawer", "model"), "--drawer has been renamed: use --clipseg"),
    ],
)
def test_an_old_option_is_refused_and_the_new_one_named(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        app(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_an_option_that_never_was_is_refused_as_usual(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app(("upload", "a.jpg", "--way", "dense"))
    assert (ended.value.code, "No such option" in capsys.readouterr().err) == (2, True)
