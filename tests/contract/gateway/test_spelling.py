"""Keys in another Unicode normalisation, and keys that are nearly right."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from tests.contract.gateway.running import PIXEL, Running, problem
from tests.contract.gateway.test_images import BUCKET, address
from workers.cli.main import app

NFC, NFD = "Ordner é/Größe.png", "Ordner e\u0301/Gro\u0308ße.png"


@pytest.mark.parametrize(("there", "asked"), [(NFC, NFD), (NFD, NFC), ("Ordner e\u0301/Größe.png", NFC)])
def test_an_object_is_found_in_either_normalisation(gateway: Running, there: str, asked: str) -> None:
    gateway.tagged(there, "cat")
    told = gateway.http.get(address(asked))
    assert told.status_code == 200, told.text
    assert told.json()["key"] == there
    assert gateway.http.get(f"/v1/thumbnails/{BUCKET}/{quote(asked)}").status_code == 200
    again = gateway.http.post(f"{address(asked)}:retag")
    assert (again.status_code, again.json()["key"]) == (202, there)
    assert gateway.http.get(again.headers["location"]).json()["key"] == there


def test_objects_that_differ_by_normalisation_or_case_stay_two(gateway: Running) -> None:
    for key in (NFC, NFD, "Cat.png", "cat.png"):
        gateway.tagged(key, "cat")
    for key in (NFC, NFD, "Cat.png", "cat.png"):
        assert gateway.http.get(address(key)).json()["key"] == key


def test_a_key_that_is_nearly_right_is_named(gateway: Running) -> None:
    for key in ("Holiday/Cat é.png", "x.png"):
        gateway.tagged(key, "cat")
    missing = gateway.http.get(address("holiday/cat e\u0301.PNG"))
    assert problem(missing) == "not-found"
    assert "did you mean 'Holiday/Cat é.png'?" in missing.json()["detail"]
    assert "mean" not in gateway.http.get(address("dog.png")).json()["detail"]


@pytest.mark.parametrize("asked", ["chelsea.png", "Chelsea.PNG", "inbox/holiday/chelsea.png"])
def test_a_key_without_its_folder_or_with_one_too_many_is_named(gateway: Running, asked: str) -> None:
    gateway.wiring.layout.require()
    for key in ("holiday/chelsea.png", "holiday/not-chelsea.png"):
        gateway.tagged(key, "cat")
    missing = gateway.http.get(address(asked))
    assert "did you mean 'holiday/chelsea.png'?" in missing.json()["detail"]
    command = CliRunner().invoke(app, ["results", asked], env={
        "WILDTAG_HOME": str(gateway.wiring.settings.home), "COLUMNS": "400",
        "WILDTAG_REDIS_URL": gateway.wiring.settings.redis_url, "WILDTAG_KEY_PREFIX": "test:",
    })  # fmt: skip
    assert "did you mean 'holiday/chelsea.png'?" in command.stderr


def test_an_object_that_the_settings_exclude_is_said_to_be_ignored(gateway: Running) -> None:
    (gateway.folder / "scan.tmp").write_bytes(PIXEL)
    answer = gateway.http.get("/v1/objects/inbox/scan.tmp", params={"wait": 5})
    assert (answer.status_code, problem(answer)) == (404, "ignored")
    assert "*.tmp is in the list of side files" in answer.json()["detail"]
    assert problem(gateway.http.post("/v1/objects/inbox/scan.tmp:retag")) == "ignored"
    assert problem(gateway.http.get("/v1/objects/inbox/gone.tmp")) == "not-found"
