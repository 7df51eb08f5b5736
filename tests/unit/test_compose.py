"""docker-compose.yml, .env.example and the Dockerfile agree with each other, with the schema and with the code.

Nothing is started: there is no Docker where most tests run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from workers.broker.celery_app import configuration
from workers.cli.main import app
from workers.diagnostics.liveness import NAMES
from workers.settings.names import FIXED, RENAMED, OldName
from workers.settings.settings import QUEUES, Settings
from workers.settings.topic import variable as variable_of

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "ops" / "docker" / "Dockerfile"
TEXT = COMPOSE.read_text()
FILE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("wildtag:")}
WORKERS = {name for name in OURS if SERVICES[name].get("command", [""])[:1] == ["worker"]}
# those whose end others wait for: they have no health, and are not begun again once they were right
ONE_SHOTS = {
    name
    for service in SERVICES.values()
    for name, on in service.get("depends_on", {}).items()
    if on["condition"] == "service_completed_successfully"
}
LASTING = set(SERVICES) - ONE_SHOTS

VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?::(?P<how>[-?])(?P<rest>[^}]*))?\}")
SECRET = re.compile(r"PASSWORD|SECRET|_KEY(?!_PREFIX|_REQUIRED)|_TOKEN|_AUTH|REDIS_URL")
OPTIONAL = {
    "WILDTAG_NOTIFY_SECRET",
    "WILDTAG_NOTIFY_URL",
}  # only who starts a profile needs it; Compose would ask everybody for it
LETTERS = "abcdefgh12345678"
SETTINGS = {variable_of(name): name for name in Settings.model_fields}
OLD_NAMES = {variable_of(name) for name in (*RENAMED, *FIXED)}
EXCLUDED: dict[str, str] = FILE["x-excluded"]


def documented() -> dict[str, str]:
    """Variables of .env.example with their values; a # before one shows a default."""
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


def unset() -> list[str]:
    """Those that a person must give a value."""
    return re.findall(r"^([A-Z][A-Z0-9_]*)=$", (ROOT / ".env.example").read_text(), re.MULTILINE)


def filled() -> dict[str, str]:
    """What a person puts into .env."""
    return {name: f"me:{LETTERS}" if name.endswith("_AUTH") else LETTERS for name in unset()}


def interpolated(value: object, given: Mapping[str, str]) -> str:
    """A value as Compose hands it on."""

    def one(found: re.Match[str]) -> str:
        return given.get(found["name"]) or (found["rest"] if found["how"] == "-" else "")

    return VARIABLE.sub(one, str(value)).replace("$$", "$")


def environment(service: str, given: Mapping[str, str]) -> dict[str, str]:
    """Of a service, as Compose makes it: a name without a value is passed on where it is given, and else left out."""
    return {
        name: given[name] if value is None else interpolated(value, given)
        for name, value in SERVICES[service].get("environment", {}).items()
        if value is not None or name in given
    }


def passed_on() -> set[str]:
    """The variables that some service gets as they are in .env."""
    return {
        name
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
        if value is None
    } - OLD_NAMES


def commands() -> Iterator[Any]:
    """Every wildtag command of the services, as arguments."""
    for name in sorted(OURS):
        service = SERVICES[name]
        if "entrypoint" not in service:
            yield pytest.param([interpolated(part, {}) for part in service["command"]], id=name)


def seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)s", text)
    assert found, text
    return float(found[1])


def test_the_schema_of_compose_files_accepts_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def _compose() -> list[str]:
    """Compose itself, where it is installed; it needs no Docker to read a file."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) is None:
            continue
        said = subprocess.run([*command, "version"], capture_output=True, text=True, check=False)
        if said.returncode == 0 and re.search(r"v?(?:[2-9]|\d\d)\.\d", said.stdout):
            return command
    return []


if COMPOSE_ITSELF := _compose():  # the schema is checked everywhere; Compose is asked where it is there

    def test_compose_accepts_it_once_the_secrets_are_set(tmp_path: Path) -> None:
        env = tmp_path / "env"
        env.write_text("\n".join(f"{name}={value}" for name, value in filled().items()))
        for profile in ([], *(["--profile", name] for name in ("ingestion", "write-back", "notify"))):
            done = subprocess.run(
                [*COMPOSE_ITSELF, "--file", COMPOSE, "--env-file", env, *profile, "config", "--quiet"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr

    def test_compose_says_which_secrets_are_missing(tmp_path: Path) -> None:
        (tmp_path / "env").touch()
        done = subprocess.run(
            [*COMPOSE_ITSELF, "--file", COMPOSE, "--env-file", tmp_path / "env", "config", "--quiet"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert "set it in .env" in done.stderr


def test_every_variable_is_documented_and_every_documented_one_is_used() -> None:
    assert {found["name"] for found in VARIABLE.finditer(TEXT)} | passed_on() == set(documented())


def test_every_setting_reaches_the_services_or_is_excluded_with_a_reason() -> None:
    chosen = {found["name"] for found in VARIABLE.finditer(TEXT)} | passed_on()
    assert not chosen & set(EXCLUDED)
    assert chosen & set(SETTINGS) | set(EXCLUDED) == set(SETTINGS)
    assert all(len(reason.split()) > 3 for reason in EXCLUDED.values())
    for name, service in SERVICES.items():
        given = service.get("environment") or {}
        confused = [setting for setting in given if setting in EXCLUDED and given[setting] == EXCLUDED[setting]]
        assert not confused, f"{name} gets reasons as values: {confused}"
    for name in OURS - {"volumes"}:
        assert set(SERVICES[name]["environment"]) >= set(FILE["x-settings"]), f"{name} lacks settings"


@pytest.mark.parametrize("name", sorted(OURS - {"volumes"}))
def test_a_setting_of_the_env_file_is_in_force_in_every_process(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"WILDTAG_UNKNOWN_SIMILARITY": "0.31", "WILDTAG_SEGMENT_GRIDS": "4,8", "WILDTAG_KEY_REQUIRED": "true"}
    for key, value in environment(name, filled() | given).items():
        monkeypatch.setenv(key, value)
    settings = Settings()
    assert (settings.unknown_similarity, settings.segment_grids, settings.key_required) == (0.31, (4, 8), True)


@pytest.mark.parametrize("old", sorted(OLD_NAMES))
def test_an_old_name_in_the_env_file_is_refused(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in environment("worker-embedding", filled() | {old: "1"}).items():
        monkeypatch.setenv(key, value)
    with pytest.raises(OldName, match=old):
        Settings()


def test_what_is_passed_on_is_documented_with_the_default_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {name: documented()[name] for name in passed_on()}
    defaults = Settings()
    for name, value in shown.items():
        monkeypatch.setenv(name, value)
    assert Settings().model_dump() == defaults.model_dump()
    empty = {name for name, value in shown.items() if not value}
    assert not [name for name in empty if getattr(defaults, SETTINGS[name]) not in (None, ())]


def test_what_every_process_gets_holds_no_secret() -> None:
    assert not [name for name in FILE["x-settings"] if SECRET.search(name) or Settings.is_secret(name)]


def test_what_is_shown_as_a_default_is_the_default() -> None:
    for found in VARIABLE.finditer(TEXT):
        default = documented()[found["name"]]
        if found["how"] == "-":
            assert found["rest"] == default, found["name"]
        else:
            assert found["how"] == "?", f"{found['name']} has neither a default nor a hint"
            assert found["rest"], found["name"]
            assert found["name"] in unset()


def test_no_secret_is_in_the_files() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable) or Settings.is_secret(variable):
                given = re.search(r"\$\{(?P<name>\w+):(?P<how>\?|-\})", value)
                assert given, f"{variable} of {name}"
                assert (given["how"] == "?") == (given["name"] not in OPTIONAL), f"{variable} of {name}"
    secret = {name for name in documented() if SECRET.search(name) or Settings.is_secret(name)}
    assert secret == set(unset()) | OPTIONAL
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_setting_exists_and_its_value_is_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {k: v for k, v in environment(name, filled()).items() if k.startswith("WILDTAG_")}
    assert set(given) <= set(SETTINGS)
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    Settings()


def test_every_documented_setting_exists_and_its_example_parses(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {k: v for k, v in (documented() | filled()).items() if k.startswith("WILDTAG_")}
    assert set(given) <= set(SETTINGS)
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    Settings()


@pytest.mark.parametrize("arguments", list(commands()))
def test_every_command_exists_with_its_options(arguments: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    rest = list(arguments)
    while hasattr(command, "commands"):
        assert rest[0] in command.commands, f"there is no {' '.join(arguments)}"
        command = command.commands[rest.pop(0)]
    command.make_context(command.name, rest)  # reads the arguments and runs nothing


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
            assert test[5] in NAMES
            assert environment(name, filled())["WILDTAG_LIVENESS_FOLDER"] in test[3]
    assert {name: SERVICES[name]["command"][1] for name in WORKERS}.items() <= asked.items()
    assert LASTING & OURS - set(asked) == {"gateway", "flower"}, "these answer by HTTP"


@pytest.mark.parametrize("name", sorted(LASTING))
def test_no_health_check_starts_an_interpreter(name: str) -> None:
    """One a minute for each process was most of what an idle machine did."""
    how, *words = SERVICES[name]["healthcheck"]["test"]
    assert how in {"CMD", "CMD-SHELL"}
    assert how == "CMD-SHELL" or words[0] in {"sh", "bash", "curl"}, words[0]
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
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert interpolated(port, {}).startswith("127.0.0.1:"), port
            assert port.startswith("${PUBLISH_ADDRESS:-127.0.0.1}:")


def test_who_needs_no_way_out_has_none() -> None:
    assert FILE["networks"]["backend"]["internal"] is True
    outside = {name for name, service in SERVICES.items() if "outside" in service["networks"]}
    reached = {name for name, service in SERVICES.items() if "ports" in service}
    assert outside == reached | {"setup-captions", "notifier"}


def test_every_secret_is_told_only_to_those_who_use_it() -> None:
    def receivers(variable: str) -> set[str]:
        return {name for name in OURS if variable in SERVICES[name].get("environment", {})}

    at_the_store = {
        "setup-bucket", "gateway", "dispatcher", "reconcile", "worker-embedding", "worker-segmentation", "writer",
    }  # fmt: skip
    assert receivers("WILDTAG_S3_SECRET_KEY") == at_the_store
    reading_captions = {
        "setup-captions", "gateway", "dispatcher", "reconcile", "worker-retrieval", "worker-segmentation",
    }  # fmt: skip
    assert receivers("WILDTAG_QDRANT_API_KEY") == reading_captions
    assert receivers("WILDTAG_WEBHOOK_TOKEN") == {"gateway"}
    assert receivers("WILDTAG_ADMIN_KEY") == {"gateway"}
    assert receivers("WILDTAG_FLOWER_AUTH") == {"flower"}
    assert receivers("WILDTAG_NOTIFY_SECRET") == receivers("WILDTAG_NOTIFY_URL") == {"notifier"}


def test_volumes_are_ours_before_anybody_else_mounts_them() -> None:
    mounted: dict[str, str] = dict(volume.split(":") for volume in SERVICES["volumes"]["volumes"])
    assert set(mounted) == set(FILE["volumes"])
    made = re.findall(r"/(?:volumes|var/lib)/[\w-]+", DOCKERFILE.read_text().partition("install -d")[2])
    assert set(mounted.values()) <= set(made)
    for name in set(SERVICES) - OURS:
        assert SERVICES[name]["depends_on"]["volumes"]["condition"] == "service_completed_successfully"
        for volume in SERVICES[name]["volumes"]:
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
