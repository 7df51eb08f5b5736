"""Setting a bucket up: others' entries stay, twice is once, and what goes wrong is explained. By the commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from minio.notificationconfig import NotificationConfig, PrefixFilterRule, QueueConfig

from tests.contract.diagnostics.s3_notifications import ARN, THEIRS, configuration
from tests.contract.s3_server import Answer, FakeS3, made_up, refusal, store_at
from tests.warm import wildtag
from workers.cli import s3 as s3_commands
from workers.diagnostics.s3_setup import inspect_bucket, set_up
from workers.settings.settings import Settings
from workers.stores.s3_notification import EXPIRED, WANTED, Entry, entries, read

LISTING = b"<ListBucketResult><Name>photos</Name><IsTruncated>false</IsTruncated></ListBucketResult>"


OURS = "arn:aws:sqs:us-east-1:123456789012:ours"  # moto takes AWS's only


Done = subprocess.CompletedProcess[str]


@pytest.fixture
def command(moto_url: str, bucket: str) -> Callable[..., Done]:
    """Runs the command as a person does."""

    def run(*arguments: str, **settings: str) -> Done:
        environment = {
            **os.environ, "WILDTAG_S3_ENDPOINT": moto_url, "WILDTAG_S3_ACCESS_KEY": "AKIATEST",
            "WILDTAG_S3_SECRET_KEY": "hidden-secret", "WILDTAG_BUCKET": bucket, "COLUMNS": "200", **settings,
        }  # fmt: skip
        done = wildtag("s3", *arguments, env=environment, timeout=120)
        assert "hidden-secret" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def minio() -> Iterator[FakeS3]:
    """A made-up MinIO with an empty bucket, which takes its own ARNs and gives them back with its region."""
    kept = b""

    def answer(method: str, path: str) -> Answer:
        nonlocal kept
        if "?notification" in path:
            if method == "PUT":
                kept = server.body.replace(b"arn:minio:sqs::", b"arn:minio:sqs:us-east-1:")
            return Answer(body=kept or configuration())
        return Answer(body=LISTING) if "list-type" in path or method == "HEAD" else Answer(404, refusal("NoSuchKey"))

    with made_up(answer) as server:
        yield server


def answers(done: Done) -> dict[str, Any]:
    """What was printed as JSON, by name."""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line.get("name", "environment"): line for line in lines}


def test_setup_makes_the_bucket_adds_to_what_is_there_and_does_so_once(
    command: Callable[..., Done], moto_url: str, bucket: str
) -> None:
    refused = command("setup", "--json")
    assert refused.returncode == 1
    assert "--create" in answers(refused)["bucket"]["remedy"]
    assert command("setup", "--create", "--arn", OURS).returncode == 0
    client = store_at(moto_url).connection.client
    queue = QueueConfig(queue=THEIRS, events=["s3:ObjectCreated:*"], config_id="theirs",
                        prefix_filter_rule=PrefixFilterRule("logs/"))  # fmt: skip
    client.set_bucket_notification(bucket, NotificationConfig(queue_config_list=[queue]))
    options = ("setup", "--arn", OURS, "--prefix", "a & b +%/é", "--suffix", ".jpg", "--json")
    first, second = command(*options), command(*options)
    assert (first.returncode, second.returncode) == (0, 0)
    assert answers(first)["notification"]["detail"].endswith("added")
    assert answers(second)["notification"]["detail"].endswith("no change needed")
    found = entries(read(store_at(moto_url), bucket))
    assert found == [
        Entry(THEIRS, "logs/", "", ("s3:ObjectCreated:*",)),
        Entry(OURS, "a & b +%/é", ".jpg", (*WANTED, EXPIRED)),
    ]


def test_the_secret_is_in_nothing_that_doctor_prints(tmp_path: Path) -> None:
    hidden = {"WILDTAG_HOME": str(tmp_path), "WILDTAG_S3_SECRET_KEY": "hidden-secret"}
    shown = wildtag("doctor", env=os.environ | hidden)
    assert "WILDTAG_S3_SECRET_KEY=***" in shown.stdout
    assert "hidden-secret" not in shown.stdout + shown.stderr


@pytest.mark.parametrize("target", ["webhook", "redis"])
def test_setup_prints_what_minio_must_be_started_with(
    command: Callable[..., Done], minio: FakeS3, target: str
) -> None:
    url = "http://here:1/v1/events/minio"
    options = ("setup", "--target", target, "--redis-key", "mine", "--url", url, "--print")
    first = command(*options, "--json", WILDTAG_S3_ENDPOINT=minio.url)
    second = command(*options, WILDTAG_S3_ENDPOINT=minio.url)
    assert (first.returncode, second.returncode) == (0, 0), first.stdout + second.stdout
    said = answers(first)
    assert f":WILDTAG:{target} receives events of all keys; added" in said["notification"]["detail"]
    assert "no change needed" in second.stdout
    environment = said["environment"]["environment"]
    assert environment["MINIO_API_SYNC_EVENTS"] == "on"
    assert all(f"{name}={value}" in second.stdout for name, value in environment.items())
    if target == "webhook":
        assert environment["MINIO_NOTIFY_WEBHOOK_ENDPOINT_WILDTAG"] == url
    else:
        assert environment["MINIO_NOTIFY_REDIS_KEY_WILDTAG"] == "mine"
    used = {name for value in environment.values() for name in re.findall(r"\$\w+", value)}
    assert set(said["environment"]["placeholders"]) == used


def test_where_nothing_is_missing_nothing_is_printed(command: Callable[..., Done], minio: FakeS3) -> None:
    done = command("setup", WILDTAG_S3_ENDPOINT=minio.url)
    assert done.returncode == 0
    assert "MINIO_NOTIFY" not in done.stdout


def test_a_second_target_is_told_at_once(command: Callable[..., Done], minio: FakeS3) -> None:
    done = command("setup", "--at-once", "--print", "--json", WILDTAG_S3_ENDPOINT=minio.url)
    assert done.returncode == 0
    environment = json.loads(done.stdout.splitlines()[-1])["environment"]
    assert environment["MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_WILDTAG"] == "/events"
    assert environment["MINIO_NOTIFY_WEBHOOK_ENABLE_WILDTAGNOW"] == "on"
    assert not any("QUEUE" in name and name.endswith("NOW") for name in environment)
    found = entries(read(store_at(minio.url), "photos"))
    assert [entry.arn.rpartition(":")[0].rpartition(":")[2] for entry in found] == ["WILDTAG", "WILDTAGNOW"]


@pytest.fixture
def refusing() -> Iterator[FakeS3]:
    """A made-up MinIO that knows no target."""

    def answer(method: str, path: str) -> Answer:
        if "?notification" in path:
            return Answer(400, refusal("InvalidArgument", "no such ARN")) if method == "PUT" else Answer(body=b"")
        return Answer(body=LISTING) if "list-type" in path or method == "HEAD" else Answer(404, refusal("NoSuchKey"))

    with made_up(answer) as server:
        yield server


def test_what_is_missing_is_printed_and_the_address_asked_for(
    command: Callable[..., Done], refusing: FakeS3, tmp_path: Path
) -> None:
    done = command("setup", WILDTAG_HOME=str(tmp_path), WILDTAG_S3_ENDPOINT=refusing.url)
    assert done.returncode == 1
    assert "MINIO_NOTIFY_WEBHOOK_ENDPOINT_WILDTAG=$GATEWAY\n" in done.stdout
    assert "--url" in done.stdout
    assert "$WILDTAG_WEBHOOK_TOKEN  a secret of at least 8 characters" in done.stdout
    assert "$REDIS_HOST" not in done.stdout


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, None),
        ({"gateway_port": 8099}, "http://127.0.0.1:8099/v1/events/minio"),
        ({"gateway_port": 8099, "s3_endpoint": "https://minio.example"}, None),
        ({"gateway_host": "10.0.0.7", "s3_endpoint": "http://m:9000"}, "http://10.0.0.7:8080/v1/events/minio"),
        ({"gateway_host": "0.0.0.0"}, None),  # noqa: S104 -- no address to reach
    ],
)
def test_the_address_of_the_gateway(settings: dict[str, Any], address: str | None, tmp_path: Path) -> None:
    chosen = Settings(**{"home": tmp_path, "s3_endpoint": "http://127.0.0.1:9", **settings})
    assert s3_commands._gateway(chosen) == address


def test_the_stack_of_this_home_says_where_its_gateway_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = SimpleNamespace(addresses={"gateway": "http://127.0.0.1:8123"})
    monkeypatch.setattr("workers.supervision.supervisor.read_stack", lambda _: here)
    local = Settings(home=tmp_path, s3_endpoint="http://localhost:9000")
    assert s3_commands._gateway(local) == "http://127.0.0.1:8123/v1/events/minio"
    assert s3_commands._gateway(local.model_copy(update={"s3_endpoint": "https://minio.example"})) is None


def test_a_target_that_the_server_does_not_know_is_explained(
    command: Callable[..., Done],
) -> None:
    done = command("setup", "--create", "--json", "--arn", "arn:aws:sqs:nowhere:1:x")
    assert done.returncode == 1
    assert "exist" in answers(done)["notification"]["remedy"]
    wrong = command("setup", "--arn", "nonsense")
    assert wrong.returncode == 2
    assert "not an ARN" in wrong.stderr


def test_nobody_there_and_nobody_named(command: Callable[..., Done]) -> None:
    done = command("setup", "--json", WILDTAG_S3_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "127.0.0.1:9" in answers(done)["server"]["detail"]
    unset = command("doctor", WILDTAG_S3_ENDPOINT="")
    assert unset.returncode == 1
    assert "WILDTAG_S3_ENDPOINT" in unset.stderr


@pytest.mark.parametrize(
    ("refused", "code", "says"),
    [
        ("PUT", "InvalidARN", "restart it"),
        ("PUT", "InvalidRegion", "allow"),
        ("PUT", "AccessDenied", "s3:PutBucketNotification"),
        ("GET", "AccessDenied", "s3:PutBucketNotification"),
        ("PUT", "NotImplemented", "reconcile"),
    ],
)
def test_what_a_server_refuses_is_explained(refused: str, code: str, says: str) -> None:
    def answer(method: str, path: str) -> Answer:
        if "?notification" in path:
            return Answer(400, refusal(code)) if method == refused else Answer(body=b"")
        if "list-type" in path or method == "HEAD":
            return Answer(body=LISTING)
        return Answer(404, refusal("NoSuchKey"))

    with made_up(answer) as server:
        *fine, last = set_up(store_at(server.url, "photos"), "photos", Entry(ARN), {"A": "b"}, create=False)
    assert all(check.ok for check in fine)
    assert last.ok is False
    assert says in last.remedy


def test_objects_that_may_be_listed_and_not_read() -> None:
    listing = (
        b"<ListBucketResult><Name>photos</Name><IsTruncated>false</IsTruncated>"
        b"<Contents><Key>a.jpg</Key><ETag>e</ETag><Size>3</Size></Contents></ListBucketResult>"
    )

    def answer(method: str, path: str) -> Answer:
        if "list-type" in path or method == "HEAD":
            return Answer(body=listing)
        return Answer(403, refusal("AccessDenied"))

    with made_up(answer) as server:
        *_, last = set_up(store_at(server.url, "photos"), "photos", Entry(ARN), {}, create=False)
    assert last.ok is False
    assert "s3:GetObject" in last.remedy


def test_a_key_pair_that_may_not_list_the_bucket_is_told_what_it_will_miss() -> None:
    def answer(method: str, path: str) -> Answer:  # noqa: ARG001 -- the path decides
        return Answer(403, refusal("AccessDenied")) if "list-type" in path else Answer()

    with made_up(answer) as server:
        store = store_at(server.url, "photos")
        for checks in (inspect_bucket(store, "photos"), set_up(store, "photos", Entry(ARN), {}, create=True)):
            *_, last = checks
            assert (last.name, last.ok) == ("bucket", False)
            assert "removals and missed events are not detected" in last.detail
            assert "s3:ListBucket on arn:aws:s3:::photos" in last.remedy


def test_a_key_pair_that_may_not_make_the_bucket_is_told_so() -> None:
    def answer(method: str, path: str) -> Answer:  # noqa: ARG001 -- the method decides
        return Answer(404) if method == "HEAD" else Answer(403, refusal("AccessDenied"))

    with made_up(answer) as server:
        *_, last = set_up(store_at(server.url, "photos"), "photos", Entry(ARN), {}, create=True)
    assert last.ok is False
    assert "s3:CreateBucket" in last.remedy
