"""The services of the Compose file: confined, looked after, and told no secret that they do not use."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.compose_file import (
    FILE,
    LASTING,
    ONE_SHOTS,
    OURS,
    ROOT,
    SERVICES,
    TEXT,
    environment,
    filled,
    interpolated,
    seconds,
)
from workers.broker.celery_app import configuration
from workers.diagnostics.liveness import NAMES
from workers.processes.feeder import FEEDER
from workers.settings.process_environment import NEEDS
from workers.settings.process_environment import needed as needed_by
from workers.settings.secret_settings import CAPTIONS, MODELS, PROXIES, REDIS, SECRETS, STORE
from workers.settings.settings import QUEUES
from workers.settings.variables import variable as variable_of

DOCKERFILE = ROOT / "ops" / "docker" / "Dockerfile"


WORKERS = {name for name in OURS if SERVICES[name].get("command", [""])[:1] == ["worker"]}


def test_every_queue_has_a_worker_of_its_own() -> None:
    assert {tuple(SERVICES[name]["command"]) for name in WORKERS} == {("worker", queue) for queue in QUEUES}


def test_workers_can_be_scaled() -> None:
    for name in WORKERS:
        assert not {"container_name", "ports", "hostname"} & set(SERVICES[name]), name


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_everybody_is_confined(name: str) -> None:
    service = SERVICES[name]
    uid, _, gid = service["user"].partition(":")
    assert int(uid) > 0
    assert int(gid) > 0
    assert service["read_only"]
    assert service["init"]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert "no-new-privileges:true" in service["security_opt"]
    assert {"max-size", "max-file"} <= set(service["logging"]["options"])
    assert {"memory", "pids"} <= set(service["deploy"]["resources"]["limits"])


@pytest.mark.parametrize("name", sorted(LASTING))
def test_what_lasts_is_begun_again_and_looked_after(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
    assert seconds(service["stop_grace_period"]) >= 10


@pytest.mark.parametrize("name", sorted(ONE_SHOTS))
def test_a_one_shot_is_tried_a_few_times_and_has_no_health(name: str) -> None:
    assert re.fullmatch(r"on-failure:\d", SERVICES[name]["restart"])
    assert "healthcheck" not in SERVICES[name]


def test_health_is_progress() -> None:
    asked = {}
    for name in LASTING & OURS:
        test = SERVICES[name]["healthcheck"]["test"]
        if test[:3] == ["CMD", "sh", "-c"]:
            asked[name] = test[5]
            assert test[5] in {*NAMES, FEEDER}
            assert environment(name, filled())["WILDTAG_LIVENESS_FOLDER"] in test[3]
    assert {name: SERVICES[name]["command"][1] for name in WORKERS}.items() <= asked.items()
    assert LASTING & OURS - set(asked) == {"gateway", "flower"}, "these answer by HTTP"


@pytest.mark.parametrize("name", sorted(LASTING))
def test_no_health_check_starts_an_interpreter(name: str) -> None:
    """One a minute for each process was most of what an idle machine did."""
    how, *words = SERVICES[name]["healthcheck"]["test"]
    assert how in {"CMD", "CMD-SHELL"}
    assert how == "CMD-SHELL" or words[0] in {"sh", "bash", "curl", "wget"}, words[0]
    assert not re.search(r"\b(?:python|wildtag|celery|node|perl)\b", " ".join(words))


def test_a_stop_leaves_workers_the_time_that_they_take() -> None:
    soft = configuration("wildtag:", 300)["worker_soft_shutdown_timeout"]
    for name in WORKERS:
        assert SERVICES[name]["environment"]["REMAP_SIGTERM"] == "SIGQUIT"
        assert SERVICES[name]["stop_signal"] == "SIGTERM"
        assert seconds(SERVICES[name]["stop_grace_period"]) >= soft + 10


def test_images_are_pinned() -> None:
    for name in set(SERVICES) - OURS:
        image = interpolated(SERVICES[name]["image"], {})
        assert re.fullmatch(r"[\w.]+\.io/[\w/-]+:(v?\d+\.\d+\.\d+|RELEASE\.\d{4}-)\S*", image), image
        assert SERVICES[name]["image"] != image, "by a variable"
    assert not re.search(r":latest\b", TEXT + DOCKERFILE.read_text())


def test_nothing_is_published_beyond_this_machine_by_default() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert interpolated(port, {}).startswith("127.0.0.1:"), port
            # Prometheus asks for no password
            here = "127.0.0.1:" if name == "prometheus" else "${PUBLISH_ADDRESS:-127.0.0.1}:"
            assert port.startswith(here)


def test_who_needs_no_way_out_has_none() -> None:
    assert FILE["networks"]["backend"]["internal"] is True
    outside = {name for name, service in SERVICES.items() if "outside" in service["networks"]}
    reached = {name for name, service in SERVICES.items() if "ports" in service}
    assert outside == reached | {"setup-captions", "next-feeder", "notifier"}


PROCESSES = {"setup-captions": "prepare"}  # services whose process has another name


def test_every_secret_is_told_only_to_those_who_use_it() -> None:
    """As the table of processes says, from which the stack of one machine is made too."""
    assert {PROCESSES.get(name, name) for name in OURS - {"volumes"}} <= set(NEEDS)
    for name in OURS:
        given = {setting for setting in SECRETS if variable_of(setting) in SERVICES[name].get("environment", {})}
        needed = frozenset() if name == "volumes" else needed_by(PROCESSES.get(name, name))
        fixed = {"broker_url"}  # it is the Redis of redis_url
        assert given == needed - fixed, name
    root = {name for name, service in SERVICES.items() if "S3_ADMIN_SECRET_KEY" in str(service.get("environment"))}
    assert root == {"minio", "setup-bucket", "setup-user"}, "what runs on has no key of the administrator"
    assert root - {"minio"} <= ONE_SHOTS


ABSENT = {
    **dict.fromkeys(STORE.variables, "the key pair is given as settings"),
    **dict.fromkeys(PROXIES, "a proxy would be asked for the servers in this file, too"),
    "HF_TOKEN_PATH": "a path of the host", "HUGGING_FACE_HUB_TOKEN": "the old name of HF_TOKEN",
}  # fmt: skip
"""Variables of other programs that no service gets, and why."""


def test_variables_of_other_programs_are_told_only_to_those_who_can_use_them() -> None:
    """Only services that reach the outside can reach a model hub."""
    known: frozenset[str] = frozenset().union(*(group.variables for needs in NEEDS.values() for group in needs))
    assert set(ABSENT) < known
    for name in OURS:
        needs = () if name == "volumes" else NEEDS[PROCESSES.get(name, name)]
        needed = {variable for group in needs for variable in group.variables} - set(ABSENT)
        if "outside" not in SERVICES[name]["networks"]:
            needed -= MODELS.variables
        assert known & SERVICES[name].get("environment", {}).keys() == needed, name
    assert environment("setup-captions", {**filled(), "HF_TOKEN": "a"})["HF_TOKEN"] == "a"  # noqa: S105 -- made up


def test_what_many_services_share_holds_no_secret() -> None:
    """A block that is merged into services by need holds the secrets of one server at most."""
    for name in ("x-settings", "x-home", "x-working"):
        assert not {setting for setting in SECRETS if variable_of(setting) in FILE[name]}, name
    for name in ("x-redis", "x-store", "x-captions"):
        groups = [group.settings for group in (REDIS, STORE, CAPTIONS)]
        held = {setting for setting in SECRETS if variable_of(setting) in FILE[name]}
        assert sum(bool(held & group) for group in groups) == 1, name


def test_volumes_are_ours_before_anybody_else_mounts_them() -> None:
    mounted: dict[str, str] = dict(volume.split(":") for volume in SERVICES["volumes"]["volumes"])
    assert set(mounted) == set(FILE["volumes"])
    made = re.findall(r"/(?:volumes|var/lib)/[\w-]+", DOCKERFILE.read_text().partition("install -d")[2])
    assert set(mounted.values()) <= set(made)
    for name in set(SERVICES) - OURS:
        assert SERVICES[name]["depends_on"]["volumes"]["condition"] == "service_completed_successfully"
        for volume in SERVICES[name]["volumes"]:
            if volume["type"] == "bind":
                assert volume["read_only"]
                assert (ROOT / volume["source"]).exists()
            else:
                assert volume["volume"]["nocopy"], "its image would give the volume another owner"


def test_minio_loses_no_event_and_sends_them_to_the_gateway() -> None:
    variables, gateway = environment("minio", filled()), environment("gateway", filled())
    assert variables["MINIO_API_SYNC_EVENTS"] == "on"
    port = gateway["WILDTAG_GATEWAY_PORT"]
    assert variables["MINIO_NOTIFY_WEBHOOK_ENDPOINT_WILDTAG"] == f"http://gateway:{port}/v1/events/minio"
    assert variables["MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_WILDTAG"] == gateway["WILDTAG_WEBHOOK_TOKEN"]
    assert len(variables["MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_WILDTAG"].split()) == 1
    queue = variables["MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_WILDTAG"]
    assert queue in {volume["target"] for volume in SERVICES["minio"]["volumes"]}


def test_a_fast_way_runs_beside_the_durable_one() -> None:
    """MinIO serves a queue folder on a timer of 3 s; what sweeps the bucket also listens to it."""
    variables = environment("reconcile", filled())
    assert (variables["WILDTAG_LISTEN"], variables["WILDTAG_S3_ENDPOINT"]) == ("true", "http://minio:9000")
    assert SERVICES["reconcile"]["command"][0] == "reconcile"
    setup = [interpolated(part, {}) for part in SERVICES["setup-bucket"]["command"]]
    url = setup[setup.index("--url") + 1]
    assert url == environment("minio", filled())["MINIO_NOTIFY_WEBHOOK_ENDPOINT_WILDTAG"]


def test_the_build_is_one_of_the_dockerfile() -> None:
    builds = [service["build"] for service in SERVICES.values() if "build" in service]
    assert len(builds) == 1, "one service builds the image that all share"
    (build,) = builds
    assert ROOT / build["dockerfile"] == DOCKERFILE
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE.read_text(), re.MULTILINE))
    assert {interpolated(build["target"], {}), "cpu", "cuda"} <= stages
    arguments = set(re.findall(r"^ARG (\w+)", DOCKERFILE.read_text(), re.MULTILINE))
    assert set(build["args"]) <= arguments


def test_the_image_runs_as_nobody_special_and_names_no_package_index() -> None:
    text = DOCKERFILE.read_text()
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
    assert "ARG TORCH_INDEX=\n" in text
    assert not re.search(r"index-url[ =]\"?https?:", text)
    assert "HEALTHCHECK" not in text, "Compose asks each of them another question"


def test_the_image_gets_no_file_that_it_does_not_need() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    copied = set(re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE.read_text(), re.MULTILINE))
    assert {f"!{name}" for line in copied for name in line.split()} == {line for line in lines if line[0] == "!"}


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
