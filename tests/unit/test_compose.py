"""docker-compose.yml, .env.example and the Dockerfile agree with each other, with the schema and with the code.

Nothing is started: there is no Docker where most tests run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tests.unit.compose_file import (
    COMPOSE,
    FILE,
    GPU,
    GPU_TEXT,
    OURS,
    ROOT,
    SERVICES,
    TEXT,
    VARIABLE,
    environment,
    filled,
    interpolated,
    unset,
)
from workers.cli.main import app
from workers.settings.names import FIXED, RENAMED, OldName
from workers.settings.settings import Settings
from workers.settings.variables import variable as variable_of

SECRET = re.compile(r"PASSWORD|SECRET|_KEY(?!_PREFIX|_REQUIRED)|_TOKEN|_AUTH|REDIS_URL")


OPTIONAL = {
    "GRAFANA_ADMIN_PASSWORD",
    "HF_TOKEN",
    "PROMETHEUS_KEY",
    "RABBITMQ_PASSWORD",
    "REDIS_PASSWORD_PREVIOUS",
    "WILDTAG_NOTIFY_SECRET",
    "WILDTAG_NOTIFY_URL",
}  # only who starts a profile, or fetches a model, needs it; Compose would ask everybody for it


SETTINGS = {variable_of(name): name for name in Settings.model_fields}


OLD_NAMES = {variable_of(name) for name in (*RENAMED, *FIXED)}


EXCLUDED: dict[str, str] = FILE["x-excluded"]


def documented() -> dict[str, str]:
    """Variables of .env.example with their values; a # before one shows a default."""
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


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


@pytest.mark.parametrize("file", [COMPOSE, GPU], ids=["docker-compose.yml", "docker-compose.gpu.yml"])
def test_the_schema_of_compose_files_accepts_it(file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file],
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
        for profile in ([], *(["--profile", name] for name in ("ingestion", "write-back", "notify", "observe"))):
            done = subprocess.run(
                [*COMPOSE_ITSELF, "--file", COMPOSE, "--env-file", env, *profile, "config", "--quiet"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr

    def test_compose_accepts_gpus_for_the_cuda_image_only(tmp_path: Path) -> None:
        for variant, status in ({"VARIANT": "cuda"}, 0), ({}, 1):
            env = tmp_path / "env"
            env.write_text("\n".join(f"{name}={value}" for name, value in (filled() | variant).items()))
            files: list[str | Path] = ["--file", COMPOSE, "--file", GPU, "--env-file", env, "--profile", "second-gpu"]
            done = subprocess.run(
                [*COMPOSE_ITSELF, *files, "config", "--quiet"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert min(done.returncode, 1) == status, done.stderr

    def test_compose_says_which_secrets_are_missing(tmp_path: Path) -> None:
        (tmp_path / "env").touch()
        done = subprocess.run(
            [*COMPOSE_ITSELF, "--file", COMPOSE, "--env-file", tmp_path / "env", "config", "--quiet"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert "set it in .env" in done.stderr


def test_every_variable_is_documented_and_every_documented_one_is_used() -> None:
    overrides = ("docker-compose.rabbitmq.yml", "docker-compose.published.yml")
    override = "".join((ROOT / name).read_text() for name in overrides)
    assert {found["name"] for found in VARIABLE.finditer(TEXT + GPU_TEXT + override)} | passed_on() == set(
        documented()
    )


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
    for found in VARIABLE.finditer(TEXT + GPU_TEXT):
        default = documented()[found["name"]]
        if found["name"] == "VARIANT":  # docker-compose.gpu.yml refuses its default
            assert (found["how"], found["rest"]) in {("-", default), ("?", "set it in .env to cuda")}
        elif found["how"] == "-":
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
