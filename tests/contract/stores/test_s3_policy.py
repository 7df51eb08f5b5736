"""The policy of wildtag's user, enforced by a server: what the processes do is allowed, and nothing beside it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator

import boto3  # type: ignore[import-untyped]
import httpx
import pytest
from minio.error import S3Error

from tests.contract.s3_server import moto, store_at
from workers.stores.s3 import S3Store
from workers.stores.s3_notification import read
from workers.stores.s3_user import policy_of

PHOTOS, OTHER = "photos", "others-photos"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    """A store as the user of wildtag, at a server that enforces policies."""
    monkeypatch.setenv("INITIAL_NO_AUTH_ACTION_COUNT", "1000000")
    with moto() as url:
        root = store_at(url).connection.client
        for bucket in (PHOTOS, OTHER):
            root.make_bucket(bucket)
            root.put_object(bucket, "a.jpg", io.BytesIO(b"image"), 5)
        root.put_object(PHOTOS, "delete.jpg", io.BytesIO(b"image"), 5)
        given = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
        iam = boto3.client("iam", endpoint_url=url, **given)
        iam.create_user(UserName="wildtag")
        iam.put_user_policy(UserName="wildtag", PolicyName="p", PolicyDocument=json.dumps(policy_of(PHOTOS)))
        pair = iam.create_access_key(UserName="wildtag")["AccessKey"]
        httpx.post(f"{url}/moto-api/reset-auth", content=b"0", trust_env=False).raise_for_status()
        yield store_at(url, PHOTOS, access_key=pair["AccessKeyId"], secret_key=pair["SecretAccessKey"])


ALLOWED: dict[str, Callable[[S3Store], object]] = {
    "read": lambda store: store.get(PHOTOS, "a.jpg", 100),
    "look up": lambda store: store.stat(PHOTOS, "a.jpg"),
    "look up what is not there": lambda store: store.stat(PHOTOS, "none.jpg"),
    "list": lambda store: list(store.list(PHOTOS)),
    "exists": lambda store: store.exists(PHOTOS),
    "write": lambda store: store.put(PHOTOS, "uploads/b.jpg", io.BytesIO(b"image")),
    "write in parts": lambda store: store.put(PHOTOS, "c.jpg", io.BytesIO(bytes(9 * 2**20))),
    "delete": lambda store: store.remove(PHOTOS, "delete.jpg"),
    "tags": lambda store: store.tags(PHOTOS, "a.jpg"),
    "set tags": lambda store: store.set_tags(PHOTOS, "a.jpg", {"a": "b"}),
    "remove tags": lambda store: store.set_tags(PHOTOS, "a.jpg", {}),
    "notifications": lambda store: read(store, PHOTOS),
}

REFUSED: dict[str, Callable[[S3Store], object]] = {
    "read another bucket": lambda store: store.connection.client.get_object(OTHER, "a.jpg"),
    "list another bucket": lambda store: list(store.connection.client.list_objects(OTHER)),
    "write another bucket": lambda store: store.connection.client.put_object(OTHER, "b", io.BytesIO(b"x"), 1),
    "delete the bucket": lambda store: store.connection.client.remove_bucket(PHOTOS),
    "create a bucket": lambda store: store.connection.client.make_bucket("new-bucket"),
    "list buckets": lambda store: store.connection.client.list_buckets(),
    "open the bucket": lambda store: store.connection.client.set_bucket_policy(PHOTOS, json.dumps(policy_of(PHOTOS))),
    "read the policy": lambda store: store.connection.client.get_bucket_policy(PHOTOS),
    "change the life cycle": lambda store: store.connection.client.delete_bucket_lifecycle(PHOTOS),
    "stop notifications": lambda store: store.connection.client.delete_bucket_notification(PHOTOS),
}


def test_what_the_processes_do_is_allowed(store: S3Store) -> None:
    for name, act in ALLOWED.items():
        try:
            act(store)
        except Exception as exc:
            pytest.fail(f"{name}: {exc}")


def test_nothing_else_is_allowed(store: S3Store) -> None:
    for name, act in REFUSED.items():
        with pytest.raises(S3Error) as refused:
            act(store)
        assert refused.value.code == "AccessDenied", name
