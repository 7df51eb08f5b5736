"""The user that wildtag gets on a MinIO server: its policy, its key pair, and what is said where that fails."""

from __future__ import annotations

import io
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from minio.crypto import decrypt
from typer.testing import CliRunner
from urllib3 import HTTPResponse

from tests.contract.s3_server import Answer, FakeS3, made_up
from vectordb.errors import Permanent
from workers.cli.main import app
from workers.settings.settings import Settings
from workers.stores.s3_user import policy_of
from workers.stores.store import StoreAway, StoreRefuses
from workers.wiring.stores import make_s3_user

ROOT_SECRET = "the-secret-of-root"  # noqa: S105 -- made up
SECRET = "the-secret-of-wildtag"  # noqa: S105 -- made up


def settings(endpoint: str, **more: str) -> Settings:
    given = {
        "s3_endpoint": endpoint, "s3_access_key": "wildtag", "s3_secret_key": SECRET, "s3_admin_access_key": "root",
        "s3_admin_secret_key": ROOT_SECRET, "bucket": "photos", **more,
    }  # fmt: skip
    return Settings.model_validate(given)


def opened(body: bytes) -> dict[str, str]:
    """What the client encrypted for the server."""
    answer = HTTPResponse(io.BytesIO(body), preload_content=False)
    found: dict[str, str] = json.loads(decrypt(answer, ROOT_SECRET))
    return found


def test_policy_user_and_their_connection_are_made_in_this_order() -> None:
    bodies: dict[str, bytes] = {}

    def answer(_method: str, path: str) -> Answer:
        bodies[urlsplit(path).path.rpartition("/")[2]] = server.body
        return Answer()

    with made_up(answer) as server:
        make_s3_user(settings(server.url))
        asked = [(method, urlsplit(path).path, parse_qs(urlsplit(path).query)) for method, path in server.asked]
    assert asked == [
        ("PUT", "/minio/admin/v3/add-canned-policy", {"name": ["wildtag-photos"]}),
        ("PUT", "/minio/admin/v3/add-user", {"accessKey": ["wildtag"]}),
        ("PUT", "/minio/admin/v3/set-user-or-group-policy",
         {"userOrGroup": ["wildtag"], "isGroup": ["false"], "policyName": ["wildtag-photos"]}),
    ]  # fmt: skip
    assert json.loads(bodies["add-canned-policy"]) == policy_of("photos")
    assert SECRET.encode() not in bodies["add-user"]
    assert opened(bodies["add-user"]) == {"status": "enabled", "secretKey": SECRET}


def test_a_refusal_says_why_and_shows_no_secret() -> None:
    said = json.dumps({"Code": "AccessDenied", "Message": "no"}).encode()
    with made_up(lambda *_: Answer(403, said)) as server:
        with pytest.raises(StoreRefuses, match="AccessDenied") as refused:
            make_s3_user(settings(server.url))
        assert SECRET not in str(refused.value)
        assert ROOT_SECRET not in str(refused.value)


def test_no_answer_is_an_outage() -> None:
    with pytest.raises(StoreAway, match="administration"):
        make_s3_user(settings("http://127.0.0.1:9"))


def test_the_administrator_is_not_given_to_the_processes() -> None:
    with pytest.raises(Permanent, match="WILDTAG_S3_ADMIN_ACCESS_KEY"):
        make_s3_user(settings("http://127.0.0.1:9", s3_access_key="root"))


def test_the_command_names_what_is_not_set() -> None:
    done = CliRunner().invoke(app, ["s3", "user"], env={"WILDTAG_S3_ENDPOINT": "http://127.0.0.1:9"})
    assert done.exit_code != 0
    assert "WILDTAG_S3_ADMIN_SECRET_KEY" in str(done.exception)


def test_the_command_says_what_the_user_may_do() -> None:
    with made_up(lambda *_: Answer()) as server:
        given = {name.upper(): str(value) for name, value in settings(server.url).environment().items()}
        done = CliRunner().invoke(app, ["s3", "user", "--bucket", "photos"], env=given)
    assert done.exit_code == 0, done.output
    assert "wildtag may read and write the bucket photos" in done.output
    assert isinstance(server, FakeS3)
