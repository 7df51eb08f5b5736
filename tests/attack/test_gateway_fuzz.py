"""The whole specification, tried with what it allows and what it does not, with all checks of schemathesis.

Server errors count as such even where they are shown, save that something is away (503) or not to be had here (501).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response

from tests.attack.gateway_process import ADMIN
from tests.contract.gateway.running import Running, png, running, wired
from tests.contract.gateway.test_captions import WithWorker
from workers.wiring.gateway import caption_service

SHORT_S, LONG_S = 10.0, 120.0
TRIES = 3  # of an operation, before the next one
AWAY = {501, 503}
LONGEST_S = 0.05  # nobody tags what is uploaded here, so waiting for it is cut short
BEARER = {"Authorization": f"Bearer {ADMIN}"}
# refusals of what the specification allows: what it names may not exist, or be no image
REFUSED = {404, 409, 413, 415, 429, *AWAY}
# and of what it cannot say: the length of a whole URL, and
# cursors, times, "exactly one of", forms, damaged images, keys to sign in with
UNSAID = {400, 401, 410, 414, 422}
# bodies of any bytes: what is no image is refused, but the generator does not know that it made one
ANY_BYTES = {"/v1/images", "/v1/search", "/v1/uploads/{token}", "/v1/events/minio"}


@pytest.fixture(scope="module")
def filled(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that knows something of everything, and asks for keys."""
    wiring = wired(tmp_path_factory.mktemp("home"), redis_url, WithWorker, key_required=True, admin_key=ADMIN)
    wiring.redis.flushall()
    with running(wiring, replaced={"captions": caption_service(wiring, patience_s=0.5)}) as gateway:
        gateway.http.headers.update(BEARER)
        gateway.tagged("a.png", "cat", "pet")
        gateway.tagged("bad.png", error="damaged")
        gateway.enter(gateway.put("b.png", png("b")))
        gateway.upload()
        assert gateway.http.post("/v1/captions", json={"captions": ["a photo of a cat"]}).is_success
        yield gateway


def test_no_answer_is_wrong_in_ten_seconds(filled: Running) -> None:
    assert sum(fuzzed(filled, SHORT_S, least=21).values()) > 20


@pytest.mark.long
def test_no_answer_is_wrong_in_two_minutes(filled: Running) -> None:
    tried = fuzzed(filled, LONG_S)
    assert sum(tried.values()) > 500
    assert len(tried) > 30


def fuzzed(gateway: Running, seconds: float, least: int = 0) -> Counter[str]:
    """Try all operations in turn until the time is over. Returns the number of requests of each.

    ``least``: so many are made however long they take, as on a machine whose cores are busy.
    """
    schema = schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]  # type: ignore[union-attr]  # an Err fails here
    tried: Counter[str] = Counter()
    until, turn = time.monotonic() + seconds, 0

    def over() -> bool:
        return time.monotonic() >= until and tried.total() >= least

    while not over():
        for operation in operations:
            for mode in GenerationMode:
                if over():
                    return tried

                @seed(turn)
                @settings(max_examples=TRIES, deadline=None, database=None, phases=[Phase.generate],
                          suppress_health_check=list(HealthCheck))  # fmt: skip
                @given(case=operation.as_strategy(generation_mode=mode))
                def holds(case: Any) -> None:
                    tried[case.operation.label] += 1
                    if isinstance((case.query or {}).get("wait"), int | float):
                        case.query["wait"] = min(case.query["wait"], LONGEST_S)
                    held(case, gateway.url)

                with suppress(Unsatisfiable):  # nothing can be wrong where nothing is given
                    holds()
        turn += 1
    return tried


def held(case: Any, url: str) -> None:
    """One request and what is wrong with its answer; of GET also as HEAD."""
    sent = case.as_transport_kwargs(base_url=url)
    sent["headers"] = {**(sent.get("headers") or {}), **BEARER}
    if case.method == "GET":
        with requests.request(**{**sent, "method": "HEAD"}, timeout=20) as head:
            where = f"HEAD {head.url} {head.status_code}"
            assert head.status_code < 500 or head.status_code in AWAY, where
            assert head.content == b"", where
            assert "%0A" in head.url or str(head.status_code) in case.operation.definition.raw["responses"], where
    with requests.request(**sent, timeout=20, stream=True) as answer:
        where = f"{case.method} {answer.url} {answer.status_code}"
        assert answer.status_code < 500 or answer.status_code in AWAY, where
        if "%0A" in answer.url.partition("?")[0] and answer.status_code == 404:
            return  # no route has a line break in its path
        assert str(answer.status_code) in case.operation.definition.raw["responses"], where
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            assert answer.status_code == 200
            return  # it does not end
        response = Response.from_requests(answer, verify=False)
        case.validate_response(response, excluded_checks=excluded(case, answer.status_code), headers=BEARER)


def excluded(case: Any, status: int) -> list[Any]:
    """The checks that cannot judge this answer."""
    load_all_checks()
    names = set()
    if status in AWAY:
        names.add("not_a_server_error")  # what is away, or not to be had, is said by a 5xx
    if status in REFUSED | UNSAID:
        names.add("positive_data_acceptance")
    if status in {413, 414}:
        names.add("negative_data_rejection")  # it is refused, for its size before its form
    if case.operation.path in ANY_BYTES or case.meta.is_negative_at(
        ParameterLocation.HEADER
    ):  # the key is always sent
        names.add("negative_data_rejection")
    return [CHECKS.get_one(name) for name in names]
