"""Each process of a real stack knows the secrets that it needs and no other; its files are its user's alone."""

from __future__ import annotations

import ast
import base64
import re
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from ops.bench.moto_server import moto
from tests.acceptance.stack import Stack, started
from tests.attack.process_contents import environ, in_memory
from tests.contract.receiver import receiving
from tests.contract.s3_server import store_at
from tests.eventually import eventually
from workers.embedded.private_home import flower_auth, flower_auth_file, private_home
from workers.embedded.redis_server import PrivateRedis
from workers.embedded.stack import services
from workers.settings.process_environment import NEEDS, environment_of, needed
from workers.settings.secret_settings import SECRETS
from workers.settings.settings import Settings
from workers.settings.variables import variable
from workers.stores.s3_user import policy_of
from workers.supervision.ambient import ambient
from workers.supervision.child import Child

ROOT = Path(__file__).parents[2]
SEED = "SeededValue-4d1f"
SEEDS = (SEED.encode(), base64.b64encode(SEED.encode())[:16])
"""How every seeded value begins, as it is and in base64. No value is the beginning of another one."""

SEEDED = {
    "WILDTAG_S3_ACCESS_KEY": f"{SEED}-s3user", "WILDTAG_S3_SECRET_KEY": f"{SEED}-s3secret",
    "WILDTAG_S3_ADMIN_ACCESS_KEY": f"{SEED}-rootuser", "WILDTAG_S3_ADMIN_SECRET_KEY": f"{SEED}-rootsecret",
    "WILDTAG_WEBHOOK_TOKEN": f"{SEED}-token", "WILDTAG_ADMIN_KEY": f"{SEED}-adminkey",
    "WILDTAG_API_KEY": f"{SEED}-api",
    "WILDTAG_COPY_FROM_API_KEY": f"{SEED}-copyfrom", "WILDTAG_COPY_TO_API_KEY": f"{SEED}-copyto",
    "WILDTAG_FLOWER_AUTH": f"me:{SEED}-flower", "WILDTAG_QDRANT_API_KEY": f"{SEED}-qdrant",
    "WILDTAG_NOTIFY_SECRET": f"whsec_{base64.b64encode(f'{SEED}-signing-secret-of-webhooks'.encode()).decode()}",
    "WILDTAG_REDIS_TARGET_URL": f"redis://:{SEED}-target@127.0.0.1:1/0",
}  # fmt: skip
OTHERS = {
    "AWS_SECRET_ACCESS_KEY": f"{SEED}-aws", "MINIO_SECRET_KEY": f"{SEED}-minio", "HF_TOKEN": f"{SEED}-hf",
    "HTTPS_PROXY": f"http://me:{SEED}-proxy@127.0.0.1:1", "GITHUB_TOKEN": f"{SEED}-github",
    "OPENAI_API_KEY": f"{SEED}-openai", "DATABASE_URL": f"postgres://me:{SEED}-database@h/d",
    "MY_VARIABLE": f"{SEED}-my",
}  # fmt: skip
"""What a shell may hold besides."""


def begun(pid: int, program: str) -> dict[str, str]:
    """The environment of a process once it runs its program; until then the one before, or none, is there."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return environ(pid) if command[0] == program.encode() and b"-S" not in command else {}


def seeds(environment: dict[str, str]) -> set[str]:
    """The names of the variables with a seeded value."""
    return {name for name, value in environment.items() if any(one in value.encode() for one in SEEDS)}


@pytest.fixture(scope="module")
def stack(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, str]]:
    """A stack with a bucket on a server, webhooks and write-back, started in a shell that holds many secrets."""
    home = tmp_path_factory.mktemp("environments") / "home"
    with moto() as endpoint, receiving() as receiver:
        store_at(endpoint).connection.client.make_bucket("inbox")
        chosen = {
            **SEEDED, **OTHERS, "WILDTAG_S3_ENDPOINT": endpoint, "WILDTAG_NOTIFY_URL": f"{receiver.url}?{SEED}-path",
            "WILDTAG_OUTGOING_ALLOW": "127.0.0.1", "WILDTAG_WRITE_BACK": "sidecar", "WILDTAG_LISTEN": "false",
            "NO_PROXY": "*",
        }  # fmt: skip
        with started(prepared, home, None, **chosen) as running:
            yield running, running.info().addresses["redis"]


def expected(name: str) -> set[str]:
    """The variables with a seeded value that a process of the stack may have."""
    wanted = frozenset() if name == "redis" else needed(name)
    known = {variable(setting) for setting in wanted if variable(setting) in {*SEEDED, "WILDTAG_NOTIFY_URL"}}
    models = {"HF_TOKEN", "HTTPS_PROXY"} if name.startswith("worker-") and name != "worker-extraction" else set()
    proxies = {"HTTPS_PROXY"} if "qdrant_api_key" in wanted else set()
    store = {"AWS_SECRET_ACCESS_KEY", "MINIO_SECRET_KEY"} if "s3_secret_key" in wanted else set()
    return known | models | proxies | store


def test_a_process_is_started_with_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the supervisor starts them: each is a process whose environment the kernel shows, and is ended at once."""
    chosen = {**SEEDED, "WILDTAG_S3_ENDPOINT": "http://127.0.0.1:1", "WILDTAG_WRITE_BACK": "sidecar",
              "WILDTAG_NOTIFY_URL": f"https://example.org/?{SEED}", "WILDTAG_HOME": str(tmp_path)}  # fmt: skip
    for name, value in {**chosen, **OTHERS}.items():
        monkeypatch.setenv(name, value)
    redis = PrivateRedis(tmp_path)
    password = redis.url.split(":")[2].partition("@")[0]
    settings = Settings().model_copy(update={"redis_url": redis.url, "broker_url": redis.broker_url})
    names = set()
    for service in (redis.service(), *services(settings, redis, 5555)):
        child = Child(service, tmp_path / "logs" / f"{service.name}.log", "token")
        try:
            own = partial(begun, child.pid, service.command[0])
            found = eventually(own, 20, child.last_lines, every_s=0.01)
        finally:
            child.reap()
        assert seeds(found) == expected(service.name), service.name
        assert (password in str(found)) == (service.name != "redis"), service.name
        assert not any(SEED in word or password in word for word in service.command)
        names.add(service.name)
    assert {"redis", "gateway", "notifier", "writer", "flower", "reconcile", "worker-segmentation"} <= names
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700


@pytest.mark.long
def test_each_process_has_the_secrets_that_it_needs_and_no_other(stack: tuple[Stack, str]) -> None:
    running, redis_url = stack
    password = redis_url.split(":")[2].partition("@")[0]
    pids = running.info().pids
    assert {"redis", "gateway", "dispatcher", "reconcile", "writer", "notifier", "flower", "worker-embedding"} <= set(
        pids
    )
    for name, pid in pids.items():
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            found = environ(process.pid)
            assert seeds(found) == set(), (name, process.cmdline())  # they are told after they have been forked
            assert password not in str(found), name
            held = in_memory(process.pid, {**SEEDED, **OTHERS}, SEEDS)
            assert held <= expected(name), (name, process.cmdline())
            assert not any(SEED in word or password in word for word in process.cmdline()), name


def test_what_watches_over_the_stack_has_none(stack: tuple[Stack, str]) -> None:
    running, _ = stack
    supervisor = psutil.Process(running.info().supervisor.pid)
    services = set(running.info().pids.values())
    others = [process for process in supervisor.children() if process.pid not in services]
    assert others, "the guardian"
    for process in others:
        assert seeds(environ(process.pid)) == set()


def test_no_log_and_no_open_file_of_the_home_holds_a_secret(stack: tuple[Stack, str]) -> None:
    running, redis_url = stack
    password = redis_url.split(":")[2].partition("@")[0]
    for file in (*running.home.glob("logs/*"), running.home / "up.log"):
        text = file.read_text(errors="replace")
        assert SEED not in text, file
        assert password not in text, file


def test_home_logs_and_secrets_are_for_their_user_alone(stack: tuple[Stack, str]) -> None:
    running, _ = stack
    assert stat.S_IMODE(running.home.stat().st_mode) == 0o700
    for path in (running.home / "logs", running.home / "run", running.home / "redis"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
        for file in path.iterdir():
            assert not file.lstat().st_mode & 0o077, file


def test_an_older_home_is_taken_from_other_users_and_said_to_be(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "logs").mkdir(parents=True, mode=0o755)
    (home / "inbox" / "uploads").mkdir(parents=True, mode=0o755)
    (home / "logs" / "gateway.log").touch(0o644)
    (home / "logs" / "gateway.log.1").touch(0o644)
    (tmp_path / "victim").touch(0o644)
    (home / "logs" / "link.log").symlink_to(tmp_path / "victim")
    for path in (home, home / "logs", home / "inbox" / "uploads"):
        path.chmod(0o755)
    settings = Settings(home=home)
    said = private_home(settings)
    assert len(said) == 3
    assert all("700" in one for one in said)
    for path, mode in ((home, 0o700), (home / "logs", 0o700), (home / "logs" / "gateway.log.1", 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "victim").stat().st_mode) == 0o644, "a link is not followed"
    assert private_home(settings) == []


def test_a_folder_that_is_shared_on_purpose_is_left_and_named(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    said = private_home(Settings(home=shared))
    assert len(said) == 1
    assert "left as they are" in said[0]
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777


def test_the_password_of_flower_is_made_once_and_is_private(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    made = flower_auth(settings)
    assert re.fullmatch(r"wildtag:[\w-]{30,}", made)
    assert flower_auth(settings) == made
    assert stat.S_IMODE(flower_auth_file(tmp_path).stat().st_mode) == 0o600
    assert flower_auth(Settings(home=tmp_path, flower_auth="a:secret")) == "a:secret"
    flower_auth_file(tmp_path).write_text("")  # a start that was killed
    assert flower_auth(settings) != made


def test_every_secret_setting_is_in_the_table() -> None:
    """A setting that is added as a secret, or a URL that may hold a password, must be given to somebody or nobody."""
    hidden = {name for name in Settings.model_fields if Settings.is_secret(variable(name))}
    assert hidden <= SECRETS
    urls = {
        name for name in Settings.model_fields if (name.endswith("_url") and "redis" in name) or name == "broker_url"
    }
    assert urls <= SECRETS
    assert set(Settings.model_fields) >= SECRETS


@pytest.mark.parametrize("process", sorted(NEEDS))
def test_an_environment_is_complete_and_holds_nothing_else(process: str) -> None:
    settings = Settings.model_validate({
        name.removeprefix("WILDTAG_").lower(): value for name, value in SEEDED.items()
    } | {"s3_endpoint": "http://127.0.0.1:1", "redis_url": f"redis://:{SEED}@h/0"})  # fmt: skip
    found = environment_of(process, settings, {**OTHERS, "PATH": "/bin", "LC_ALL": "C"})
    given = {variable(name) for name in SECRETS if variable(name) in found}
    assert given == {variable(name) for name in needed(process) if getattr(settings, name) is not None}
    assert {"PATH", "LC_ALL", "WILDTAG_BUCKET"} <= set(found)
    assert not {"GITHUB_TOKEN", "OPENAI_API_KEY", "DATABASE_URL", "MY_VARIABLE"} & set(found)


def test_with_a_folder_as_the_bucket_nobody_gets_keys_of_a_server() -> None:
    settings = Settings(s3_access_key="a", s3_secret_key=f"{SEED}")
    for process in NEEDS:
        assert not seeds(environment_of(process, settings, {"AWS_SECRET_ACCESS_KEY": f"{SEED}"})), process


@pytest.mark.parametrize(
    ("name", "passed"), [
        ("PATH", True), ("LC_TIME", True), ("PYTHONPATH", True), ("OMP_NUM_THREADS", True), ("HF_HOME", True),
        ("TOKENIZERS_PARALLELISM", True), ("HF_TOKEN", False), ("PYTHON_KEYRING_PASSWORD", False),
        ("SSH_AUTH_SOCK", False), ("HIP_VISIBLE_DEVICES", True), ("ROCR_VISIBLE_DEVICES", True),
        ("HSA_OVERRIDE_GFX_VERSION", True),
        ("KUBECONFIG", False), ("WILDTAG_ADMIN_KEY", False), ("TORCH_API_KEY", False),
        ("HF_HUB_USER_CREDENTIALS", False),
    ],
)  # fmt: skip
def test_only_known_variables_reach_every_process(name: str, passed: bool) -> None:
    assert (name in ambient({name: "x"})) == passed


# S3's action for each call of the client, by Amazon's reference of actions, and of MinIO for listening
ACTIONS = {
    "get_object": {"s3:GetObject"}, "stat_object": {"s3:GetObject"}, "list_objects": {"s3:ListBucket"},
    "put_object": {"s3:PutObject", "s3:AbortMultipartUpload"}, "remove_object": {"s3:DeleteObject"},
    "get_object_tags": {"s3:GetObjectTagging"}, "set_object_tags": {"s3:PutObjectTagging"},
    "delete_object_tags": {"s3:DeleteObjectTagging"}, "bucket_exists": {"s3:ListBucket"},
    "get_presigned_url": set(), "presigned_post_policy": {"s3:PutObject"},
    "make_bucket": None, "_execute PUT": None,  # of the administrator: s3 setup
    "_execute GET notification": {"s3:GetBucketNotification"}, "_execute GET events": {"s3:ListenBucketNotification"},
}  # fmt: skip


def calls() -> Iterator[str]:
    """The calls of minio-py's client in our code."""
    for path in (ROOT / "workers").rglob("*.py"):
        if "Minio" not in (text := path.read_text()) and "connection.client" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = ast.unparse(node.func.value)
            if not owner.endswith(("connection.client", "connection.public")) and owner != "client":
                continue
            if node.func.attr == "_execute":
                asked = ast.unparse(next((k.value for k in node.keywords if k.arg == "query_params"), node))
                method = ast.literal_eval(node.args[0])
                kind = "notification" if "notification" in asked else "events"
                yield "_execute PUT" if method == "PUT" else f"_execute {method} {kind}"
            elif owner.startswith(("self.", "store.", "client")):
                yield node.func.attr


def test_the_policy_allows_what_the_client_calls_and_nothing_else() -> None:
    called = set(calls())
    assert len(called) > 10
    assert called <= set(ACTIONS), "a new call needs its action here, and in the policy"
    wanted = set().union(*(ACTIONS[call] or set() for call in called))
    statements = policy_of("photos")["Statement"]
    allowed = [action for statement in statements for action in statement["Action"]]
    assert sorted(allowed) == sorted(wanted)
    assert {resource for statement in statements for resource in statement["Resource"]} == {
        "arn:aws:s3:::photos", "arn:aws:s3:::photos/*",
    }  # fmt: skip
    assert not any("*" in action for action in allowed)
    assert {statement["Effect"] for statement in statements} == {"Allow"}
