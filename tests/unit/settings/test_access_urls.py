"""A URL with a password is read in the same way by every library, or refused without a part of it being shown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from workers.settings.access_urls import require_encoded
from workers.settings.settings import Settings

SPECIAL = "@:/?#[]%+ \"'é\\;<>^`{|}&=,$!"
ACCESS = "u:p%40@"
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "url",
    [
        "redis://h", "redis://127.0.0.1:6379/0", "redis://:pw@h:1/3", f"rediss://{ACCESS}h:6379", "redis://[::1]:6379/0",
        "redis:///0", "unix:///run/a@b.sock", "unix://:p@/run/x.sock?db=0", "redis+socket://u:p@/x?virtual_host=0",
        "redis+cluster://u:p@a:1,b:2,c", "redis+cluster://[::1]:7000,[::1]:7001", f"amqp://{ACCESS}h:5672/%2F", "amqps://h",
        "redis://h:1/0?socket_timeout=5&ssl_cert_reqs=none", f"redis://:{quote(SPECIAL, safe='')}@h",
    ],
)  # fmt: skip
def test_urls_that_every_library_reads_are_accepted(url: str) -> None:
    require_encoded(url)


@pytest.mark.parametrize("character", [*'@:/?#[]% "é<>;\\^`{|}\n\t'])
@pytest.mark.parametrize(
    "form", ["redis://:se{}cret@h:6379/0", "unix://:se{}cret@/run/x", "amqp://" + "u:se{}cret@h/v"]
)
def test_an_unencoded_character_is_refused_without_a_part_of_the_url(form: str, character: str) -> None:
    with pytest.raises(ValueError, match="%XX") as caught:
        require_encoded(form.format(character))
    assert "cret" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        "redis://:se/cret",
        "redis://:se[cret",
        "redis://:cret@h:99999/0",
        "redis://:cret@h/a/b",
        "redis://u:cret:1@h:x",
    ],
)
def test_what_is_cut_off_or_has_no_port_is_refused_too(url: str) -> None:
    with pytest.raises(ValueError, match="%XX") as caught:
        require_encoded(url)
    assert "cret" not in str(caught.value)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "redis://:se/cret@h:1/0"), ("REDIS_URL", "redis://:se[cret"), ("REDIS_URL", "cret"),
        ("BROKER_URL", "amqp://u:se#cret@h"), ("BROKER_URL", "redis://:se;cret@h"), ("BROKER_URL", "cret"),
        ("REDIS_TARGET_URL", "redis://:se@cret@h"), ("QDRANT_API_KEY", "sécret"), ("QDRANT_API_KEY", "se\ncret"),
        ("S3_ACCESS_KEY", "sé cret"), ("S3_ENDPOINT", "http://u:secret"), ("NOTIFY_URL", "https://u:secret"),
        ("S3_ENDPOINT", "http://u:se/cret@h"),
    ],
)  # fmt: skip
def test_a_process_ends_with_one_line_that_shows_no_part_of_the_secret(name: str, value: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "WILDTAG_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "workers.cli", "results"], capture_output=True, text=True, check=False,
        env=environment | {f"WILDTAG_{name}": value}, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if line]
    assert done.returncode == 2
    assert len([line for line in said if f"WILDTAG_{name}" in line]) == 1, said
    assert "cret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_settings_that_are_accepted_keep_the_password() -> None:
    url = f"unix://u:{quote(SPECIAL, safe='')}@/run/x.sock?db=1"
    assert quote(SPECIAL, safe="") in Settings(redis_url=url).broker
    with pytest.raises(ValidationError):
        Settings(redis_url="redis://:a@b@h")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "redis://h:1/0?password=secret"), ("REDIS_URL", "redis://h:1/0?username=u&password=secret"),
        ("REDIS_URL", "redis://h:1/0?db=secret"), ("REDIS_URL", "redis://h:1/0?secret=1"),
        ("REDIS_URL", "redis://h:1/0?ssl_cert_reqs=none"), ("BROKER_URL", "redis://h:1/0?socket_timeout=5"),
        ("REDIS_URL", "redis://h:1/0?db=1"), ("BROKER_URL", "redis://h:1/0?password=secret"),
    ],
)  # fmt: skip
def test_parameters_that_a_client_of_redis_does_not_take_are_refused(name: str, value: str) -> None:
    """Before a client raises an error of its own; no part of the URL is shown."""
    with pytest.raises(ValidationError) as caught:
        Settings(**dict[str, Any]({name.lower(): value}))
    (error,) = caught.value.errors()
    assert "secret" not in error["msg"]


@pytest.mark.parametrize(
    "given",
    [
        {"redis_url": "rediss://h:1/0?ssl_cert_reqs=none"},
        {"redis_url": "unix://:p@/x.sock?db=1"},
        {"redis_url": "redis://h:1/0?socket_timeout=5", "broker_url": "amqp://h"},
        {"redis_url": "redis://h", "broker_url": "redis+socket:///x.sock?virtual_host=3"},
    ],
)
def test_parameters_that_both_clients_take_are_accepted(given: dict[str, Any]) -> None:
    """Celery's takes fewer than Redis's."""
    assert Settings(**given).redis_url == given["redis_url"]
