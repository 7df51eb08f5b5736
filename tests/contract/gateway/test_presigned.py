"""Uploads past the gateway: a form for the S3 server that has the bucket."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.contract.gateway.running import PIXEL, problem, running, wired
from tests.contract.real_servers import key_pair
from workers.lifecycle.times import rfc3339
from workers.redis.connection import Client


def test_an_image_is_posted_to_the_server_and_known_by_its_id(
    redis_url: str,
    client: Client,
    s3_url: str,
    bucket: str,
    dropped: None,  # noqa: ARG001 -- clears up
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    access_key, secret_key = key_pair(s3_url)
    wiring = wired(
        tmp_path_factory.mktemp("home"), redis_url, bucket=bucket, s3_endpoint=s3_url, s3_access_key=access_key,
        s3_secret_key=secret_key,
    )  # fmt: skip
    wiring.s3.connection.client.make_bucket(bucket)
    with running(wiring) as gateway:
        answer = gateway.http.post("/v1/uploads", json={"content_type": "image/png"})
        assert answer.status_code == 201, answer.text
        upload = answer.json()
        assert answer.headers["location"] == f"/v1/images/{upload['id']}"
        assert upload["expires_at"] > rfc3339(time.time())
        assert problem(gateway.http.get(f"/v1/images/{upload['id']}")) == "not-found"
        assert upload["method"] == "POST"
        httpx.post(upload["url"], data=upload["fields"], files={"file": PIXEL}).raise_for_status()
        known = gateway.http.get(f"/v1/images/{upload['id']}").json()
        assert (known["state"], known["bucket"], known["id"]) == ("queued", bucket, upload["id"])
        info = wiring.store.stat(bucket, known["key"])
        assert info is not None
        assert info.ref.etag == known["etag"]
        posted = gateway.http.post("/v1/images", content=PIXEL)
        assert posted.status_code == 202
        large = gateway.http.post("/v1/images", content=PIXEL.ljust(7_000_000, b"\0"))
        assert large.status_code == 202
        assert gateway.http.get(f"/v1/images/{large.json()['id']}").status_code == 200
        assert client.xlen("test:inbox") == 2
        for wrong in ("text/html", "image/svg+xml", ""):
            refused = gateway.http.post("/v1/uploads", json={"content_type": wrong})
            assert (refused.status_code, problem(refused)) == (415, "not-an-image")
        assert gateway.http.delete(f"/v1/images/{upload['id']}").status_code == 204
        assert problem(gateway.http.get(f"/v1/images/{upload['id']}")) == "not-found"
