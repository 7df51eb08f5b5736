"""docker-compose.rabbitmq.yml: RabbitMQ is confined as the other services are, and every process uses it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml

from tests.unit.compose_file import FILE, OURS, ROOT, SERVICES, VARIABLE, interpolated, seconds
from workers.settings.process_environment import needed
from workers.settings.settings import Settings

PATH = ROOT / "docker-compose.rabbitmq.yml"
TEXT = PATH.read_text()
OVERRIDE = yaml.safe_load(TEXT)
ADDED = OVERRIDE["services"]
RABBITMQ = ADDED["rabbitmq"]
SECRET = {"RABBITMQ_PASSWORD": "abc123"}


def test_the_schema_of_compose_files_accepts_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", PATH],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_confined_as_redis_is() -> None:
    for key in (
        "user",
        "init",
        "read_only",
        "cap_drop",
        "security_opt",
        "logging",
        "networks",
        "stop_signal",
        "restart",
    ):
        assert RABBITMQ[key] == SERVICES["redis"][key], key
    assert RABBITMQ["depends_on"] == SERVICES["redis"]["depends_on"]
    assert not {"ports", "privileged", "cap_add", "container_name"} & set(RABBITMQ)
    assert {"memory", "pids"} <= set(RABBITMQ["deploy"]["resources"]["limits"])
    assert seconds(RABBITMQ["stop_grace_period"]) >= 10
    (volume,) = RABBITMQ["volumes"]
    assert volume["volume"]["nocopy"]
    assert ADDED["volumes"] == {"volumes": [f"{volume['source']}:/volumes/{volume['source']}"]}
    assert set(OVERRIDE["volumes"]) == {volume["source"]}
    assert f"/volumes/{volume['source']}" in (ROOT / "ops" / "docker" / "Dockerfile").read_text()


def test_its_image_is_pinned_by_a_variable() -> None:
    image = interpolated(RABBITMQ["image"], {})
    assert re.fullmatch(r"docker\.io/library/rabbitmq:\d+\.\d+\.\d+-alpine", image)
    assert RABBITMQ["image"] != image


def test_its_health_check_starts_no_interpreter() -> None:
    how, program, *words = RABBITMQ["healthcheck"]["test"]
    assert (how, program) == ("CMD", "bash")
    assert not re.search(r"rabbitmq|erl\b|python", " ".join(words))
    assert {"interval", "timeout", "retries", "start_period"} <= set(RABBITMQ["healthcheck"])


def test_every_process_that_uses_the_broker_gets_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    using = {name for name in OURS if name in ADDED and "environment" in ADDED[name]}
    names = {name: "prepare" if name == "setup-captions" else name for name in OURS - {"volumes"}}
    assert using == {name for name, process in names.items() if "broker_url" in needed(process)}
    for name in using:
        assert set(ADDED[name]["environment"]) == {"WILDTAG_BROKER_URL"}
        monkeypatch.setenv(
            "WILDTAG_BROKER_URL", interpolated(ADDED[name]["environment"]["WILDTAG_BROKER_URL"], SECRET)
        )
        assert Settings().broker == "amqp://wildtag:abc123@rabbitmq:5672/wildtag"
    for name in using - {"gateway", "reconcile", "writer", "notifier", "flower"}:
        assert ADDED[name]["depends_on"] == {"rabbitmq": {"condition": "service_healthy"}}


def test_the_user_and_the_virtual_host_are_those_of_the_url() -> None:
    script = interpolated(RABBITMQ["command"][-1], {})
    assert "default_user = wildtag\n" in script
    assert "default_vhost = wildtag\n" in script
    assert "default_pass = $RABBITMQ_PASSWORD\n" in script
    assert RABBITMQ["command"][:2] == ["sh", "-euc"]


def test_its_variables_are_documented_with_their_defaults_and_it_holds_no_secret() -> None:
    documented = dict(re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    for found in VARIABLE.finditer(TEXT):
        if found["name"] == "RABBITMQ_PASSWORD":
            assert (found["how"], documented[found["name"]]) == ("?", "")
        else:
            assert (found["how"], found["rest"]) == ("-", documented[found["name"]])


def test_it_adds_to_services_that_exist() -> None:
    assert set(ADDED) - {"rabbitmq"} <= set(SERVICES)
    assert RABBITMQ["networks"] == ["backend"]
    assert FILE["networks"]["backend"]["internal"]
