"""The policy of wildtag's user, enforced by a server: what the processes do is allowed, and nothing beside it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import httpx
import pytest
from minio.error import S3Error

from ops.bench.moto_server import moto
from tests.contract.s3_server import store_at
from workers.stores.s3 import S3Store
from workers.stores.s3_notification import read
from workers.stores.s3_user import policy_of
from workers.stores.store import StoreRefuses

PHOTOS, OTHER = "photos", "others-photos"


@dataclass(frozen=True)
class Enforcing:
    """A server that enforces policies, and two key pairs of wildtag's user."""

    url: str
    iam: Any
    pairs: list[tuple[str, str]]

    def enforce(self, enforced: bool) -> None:
        """Check every request, or none."""
        free = b"0" if enforced else b"1000000"
        httpx.post(f"{self.url}/moto-api/reset-auth", content=free, trust_env=False).raise_for_status()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Enforcing]:
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
        pairs = [iam.create_access_key(UserName="wildtag")["AccessKey"] for _ in range(2)]
        made = Enforcing(url, iam, [(pair["AccessKeyId"], pair["SecretAccessKey"]) for pair in pairs])
        made.enforce(enforced=True)
        yield made


@pytest.fixture
def store(server: Enforcing) -> S3Store:
    """A store as the user of wildtag."""
    access_key, secret_key = server.pairs[0]
    return store_at(server.url, PHOTOS, access_key=access_key, secret_key=secret_key)


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


def test_a_key_pair_in_a_file_is_replaced_while_it_is_used(server: Enforcing, tmp_path: Path) -> None:
    file, next_one = tmp_path / "pair", tmp_path / "next"
    file.write_text("\n".join(server.pairs[0]))
    store = store_at(server.url, PHOTOS, access_key=None, secret_key=None, credentials_file=file)
    assert store.get(PHOTOS, "a.jpg", 100)[0] == b"image"
    next_one.write_text("\n".join(server.pairs[1]))
    next_one.replace(file)
    server.enforce(enforced=False)
    server.iam.delete_access_key(UserName="wildtag", AccessKeyId=server.pairs[0][0])
    server.enforce(enforced=True)
    assert store.get(PHOTOS, "a.jpg", 100)[0] == b"image"
    file.write_text("\n".join(server.pairs[0]))
    with pytest.raises(StoreRefuses):
        store.get(PHOTOS, "a.jpg", 100)
