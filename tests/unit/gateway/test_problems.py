"""What is said of a request that does not match its specification."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from starlette.testclient import TestClient

from workers.gateway import problems


class Said(BaseModel):
    model_config = ConfigDict(extra="forbid")
    label: str


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    problems.install(app)

    @app.post("/said")
    def _(said: Said) -> str:
        return said.label

    return TestClient(app)


def refused(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 422
    return msgspec.json.decode(answer.content, type=dict)


def test_a_body_without_its_type_says_which_header_is_missing(client: TestClient) -> None:
    # curl -d sends this type
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    detail = refused(client.post("/said", content=b'{"label": "cat"}', headers=form))["detail"]
    assert detail == "body: a JSON body needs the header Content-Type: application/json"


def test_the_detail_names_what_is_wrong(client: TestClient) -> None:
    problem = refused(client.post("/said", json={"lable": "cat"}))
    assert problem["detail"] == "body.label: Field required; body.lable: unknown field"
    assert [error["where"] for error in problem["errors"]] == ["body.label", "body.lable"]


def test_of_many_faults_the_detail_names_the_first(client: TestClient) -> None:
    problem = refused(client.post("/said", json={"label": "cat", **{f"x{n}": 1 for n in range(30)}}))
    assert (problem["detail"].count("unknown field"), len(problem["errors"])) == (problems.NAMED, problems.ERRORS)


def test_a_body_of_another_form_is_no_matter_of_the_header(client: TestClient) -> None:
    assert "Content-Type" not in refused(client.post("/said", json="cat"))["detail"]
