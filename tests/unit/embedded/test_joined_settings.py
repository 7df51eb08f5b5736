"""A command in another shell finds the stack of its home as that was started, and says so where there is none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.warm import wildtag
from workers.embedded.stack import published, running
from workers.settings.settings import Settings
from workers.supervision.home import Home, StackInfo, this_process

ADDRESSES = {"redis": "unix://:pw@/run/x", "broker": "redis+socket://:pw@/run/x", "inbox": "/photos"}
PROCESSES = (
    ("worker", "embedding"), ("dispatcher",), ("watcher",), ("gateway",), ("flower",), ("notifier",), ("writer",),
    ("listen", "redis"), ("alive", "embedding"), ("results",), ("status",), ("logs",), ("down",), ("find", "cat"),
)  # fmt: skip


def stack(home: Path, given: Settings) -> None:
    """Note a running stack with these settings: this process."""
    made = Home(home)
    made.run.mkdir(parents=True)
    made.publish(StackInfo(this_process(), "2026", ADDRESSES, {}, published(given)))


def test_what_the_stack_was_given_holds_unless_this_shell_says_otherwise(tmp_path: Path) -> None:
    stack(
        tmp_path, Settings(home=tmp_path, encoder="a/model", bucket="photos", follow_types=("image/png",), max_tags=3)
    )
    up = running(Settings(home=tmp_path, max_tags=9))
    assert up is not None
    assert (up.encoder, up.bucket, up.follow_types, up.max_tags) == ("a/model", "photos", ("image/png",), 9)
    assert (up.redis_url, up.broker_url, up.inbox) == (*list(ADDRESSES.values())[:2], Path("/photos"))
    assert up.home == tmp_path


def test_commands_that_need_no_stack_take_over_its_encoder(tmp_path: Path) -> None:
    stack(tmp_path, Settings(home=tmp_path, encoder="openai/clip-vit-base-patch16"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WILDTAG_")}
    done = wildtag("models", "--json", env=environment | {"WILDTAG_HOME": str(tmp_path)}, timeout=60)
    listed = json.loads(done.stdout)["models"]
    assert [one["name"] for one in listed if one["chosen"]] == ["openai/clip-vit-base-patch16"]


def test_no_secret_is_published_and_settings_of_another_release_are_ignored(tmp_path: Path) -> None:
    given = Settings(home=tmp_path, admin_key="k" * 40, qdrant_api_key="secret", webhook_token="t" * 40)
    assert not {"admin_key", "qdrant_api_key", "webhook_token"} & published(given).keys()
    stack(tmp_path, given)
    file = tmp_path / "run" / "stack.json"
    assert file.stat().st_mode & 0o777 == 0o600
    noted = json.loads(file.read_text())
    noted["settings"] = {"encoder": "a/model", "gone": 1, "max_tags": "many"}
    file.write_text(json.dumps(noted))
    up = running(Settings(home=tmp_path))
    assert up is not None
    assert up.redis_url == ADDRESSES["redis"]
    del noted["settings"]  # an older release
    file.write_text(json.dumps(noted))
    assert running(Settings(home=tmp_path)) is not None


@pytest.mark.parametrize("arguments", PROCESSES, ids=" ".join)
def test_without_a_stack_there_is_one_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WILDTAG_")}
    done = wildtag(*arguments, env=environment | {"WILDTAG_HOME": str(tmp_path)}, timeout=60)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert str(tmp_path) in line
    assert "no stack" in line.lower()
