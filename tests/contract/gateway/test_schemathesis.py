"""The whole specification, tried with what it allows and what it does not: no answer is one that it does not show.

Server errors count as such even where they are shown, save that something is away (503) or not to be had here (501).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.gateway.running import Running, png, running, wired
from tests.contract.gateway.test_captions import WithWorker
from workers.wiring.gateway import caption_service

TRIES = 20  # of each operation
AWAY = {501, 503}
LONGEST_S = 0.05  # nobody tags what is uploaded here, so waiting for it is cut short


@pytest.fixture(scope="module")
def filled(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that knows something of everything."""
    wiring = wired(tmp_path_factory.mktemp("home"), redis_url, WithWorker)
    wiring.redis.flushall()
    with running(wiring, replaced={"captions": caption_service(wiring, patience_s=0.5)}) as gateway:
        gateway.tagged("a.png", "cat", "pet")
        gateway.tagged("bad.png", error="damaged")
        gateway.enter(gateway.put("b.png", png("b")))
        gateway.upload()
        assert gateway.http.post("/v1/captions", json={"captions": ["a photo of a cat"]}).is_success
        yield gateway


def operations(gateway: Running) -> list[Any]:
    schema = schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")
    return [found.ok() for found in schema.get_all_operations()]  # type: ignore[union-attr]  # an Err fails here


@pytest.mark.long
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_no_answer_is_one_that_the_specification_does_not_show(filled: Running, mode: GenerationMode) -> None:
    tried = 0
    for operation in operations(filled):

        @settings(max_examples=TRIES, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def holds(case: Any) -> None:
            nonlocal tried
            tried += 1
            if isinstance((case.query or {}).get("wait"), int | float):
                case.query["wait"] = min(case.query["wait"], LONGEST_S)
            held(case, filled.url)

        with suppress(Unsatisfiable):  # nothing can be wrong where nothing is given
            holds()
    assert tried > 200


def held(case: Any, url: str) -> None:
    """One request and what is wrong with its answer."""
    known = case.operation.definition.raw["responses"]
    sent = case.as_transport_kwargs(base_url=url)
    with requests.request(**sent, timeout=20, stream=True) as answer:
        where = f"{case.method} {answer.url} {answer.status_code}"
        assert answer.status_code < 500 or answer.status_code in AWAY, where
        assert str(answer.status_code) in known, where
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            assert answer.status_code == 200
            return  # it does not end
        response = Response.from_requests(answer, verify=False)
        case.validate_response(
            response, checks=[status_code_conformance, content_type_conformance, response_schema_conformance]
        )
