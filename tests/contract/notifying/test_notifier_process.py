"""The notifier as a process and its commands, as a person starts them: it may be killed at any time."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.contract.certificates import certified
from tests.contract.notifying.notifier_world import World
from tests.contract.receiver import Receiver, Reply, Request, receiving
from tests.eventually import eventually_while
from tests.warm import wildtag
from workers.cli.main import app
from workers.notifying.receivers import Receivers
from workers.redis.connection import Client
from workers.redis.keys import Keys
from workers.redis.layout import Layout

CHANCE = random.Random(11)
SECRET = f"whsec_{base64.b64encode(CHANCE.randbytes(32)).decode()}"
PATIENCE_S = 120.0


class Command:
    """``wildtag`` with these settings."""

    def __init__(self, redis_url: str, keys: Keys, receiver: Receiver, home: Path) -> None:
        self.environment = {
            **os.environ,
            "WILDTAG_HOME": str(home), "WILDTAG_REDIS_URL": redis_url, "WILDTAG_KEY_PREFIX": keys.prefix,
            "WILDTAG_NOTIFY_URL": receiver.url, "WILDTAG_NOTIFY_SECRET": SECRET, "WILDTAG_NOTIFY_TIMEOUT_S": "2",
            "WILDTAG_NOTIFY_ATTEMPTS": "1", "WILDTAG_OUTGOING_ALLOW": "127.0.0.1",
            "WILDTAG_NOTIFY_FROM_BEGINNING": "true",  # of what is finished before it runs
        }  # fmt: skip

    def run(self, *arguments: str, **settings: str) -> tuple[int, str]:
        """In this process: exit status and what was printed."""
        done = CliRunner().invoke(app, list(arguments), env=self.environment | settings)
        return done.exit_code, done.stdout

    def end(self, *arguments: str, **settings: str) -> tuple[int, str]:
        """In a process of its own that is to end: exit status and what it complains of."""
        done = wildtag(*arguments, env=self.environment | settings, timeout=60)
        return done.returncode, done.stderr

    @contextmanager
    def notifier(self, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.cli", "notifier"], env=self.environment | settings,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait(60)


@pytest.fixture
def world(client: Client, keys: Keys, receiver: Receiver) -> World:
    Layout(client, keys).require()
    return World(client, keys, receiver)


@pytest.fixture
def command(redis_url: str, keys: Keys, receiver: Receiver, tmp_path: Path) -> Command:
    return Command(redis_url, keys, receiver, tmp_path)


@pytest.mark.long
def test_killed_again_and_again_it_tells_of_every_object_at_least_once(world: World, command: Command) -> None:
    names = [f"{number:03}.jpg" for number in range(120)]
    failed: set[str] = set()

    def answer(request: Request) -> Reply:
        world.receiver.stopped.wait(0.02)  # so that a kill finds attempts under way
        if request.event["data"]["key"].endswith("7.jpg") and request.id not in failed:
            failed.add(request.id)
            return Reply(500)
        return Reply()

    world.receiver.answer = answer
    many = {"WILDTAG_NOTIFY_ATTEMPTS": "50"}
    for begin in range(0, 120, 30):
        world.finish(*names[begin : begin + 30])
        so_far = len(world.receiver.seen)
        enough = so_far + CHANCE.randrange(1, 25)
        with command.notifier(**many) as process:  # which kills it
            eventually_while(process, partial(world.receiver.has_seen, enough), PATIENCE_S)
    with command.notifier(**many) as process:
        eventually_while(process, lambda: len(set(world.receiver.taken)) == len(names) and world.quiet(), PATIENCE_S)
    assert set(world.receiver.keys()) == set(names)
    assert len(set(world.receiver.ids())) == len(names), "an object has one id, however often it is sent"
    assert world.letters.list() == []


def test_it_beats_and_ends_when_it_is_told_to(world: World, command: Command) -> None:
    world.finish("a.jpg")
    with command.notifier() as process:
        eventually_while(process, lambda: world.receiver.taken and world.quiet(), PATIENCE_S)
        eventually_while(process, lambda: world.client.hexists(world.keys.heartbeats, "notifier"), PATIENCE_S)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_what_was_given_up_is_listed_and_replayed_by_commands(world: World, command: Command) -> None:
    world.receiver.answer = lambda _: Reply(400, body=b"[red]no[/]")
    world.finish("a.jpg", "b.jpg")
    with command.notifier() as process:
        eventually_while(process, lambda: len(world.letters.list()) == 2, PATIENCE_S)
        assert "[red]no[/]" in command.run("webhooks", "dead")[1]
        code, out = command.run("webhooks", "dead", "--json")
        listed = [json.loads(line) for line in out.splitlines()]
        assert code == 0
        assert {letter["key"] for letter in listed} == {"a.jpg", "b.jpg"}

        world.receiver.answer = lambda _: Reply()
        assert command.run("webhooks", "replay", listed[0]["id"])[0] == 0
        assert command.run("webhooks", "replay", listed[0]["id"])[0] == 1
        assert command.run("webhooks", "replay", "--all")[0] == 0
        eventually_while(process, lambda: len(world.receiver.taken) == 2 and world.quiet(), PATIENCE_S)
    assert json.loads(command.run("webhooks", "counts", "--json")[1]) == {
        "waiting": 0, "delivered": 2, "retried": 0, "dead": 2, "lost": 0,
    }  # fmt: skip


def test_a_trial_says_what_came_back(world: World, command: Command) -> None:
    code, out = command.run("webhooks", "test")
    assert (code, "HTTP 200" in out) == (0, True)
    (request,) = world.receiver.seen
    request.verify(SECRET)
    assert request.event["type"] == "webhook.test"
    world.receiver.answer = lambda _: Reply(401, body=b"who are you?")
    code, out = command.run("webhooks", "test", "--json")
    assert (code, json.loads(out)["status"], json.loads(out)["said"]) == (1, 401, "who are you?")


def test_a_certificate_is_checked(command: Command, tmp_path: Path) -> None:
    trusted, tls = certified(tmp_path)
    with receiving(tls) as receiver:
        variables = {"WILDTAG_NOTIFY_URL": receiver.url}
        code, out = command.run("webhooks", "test", **variables)
        assert code == 1
        assert "certificate" in out.lower()
        assert receiver.seen == []
        assert command.run("webhooks", "test", **variables, WILDTAG_NOTIFY_CA_FILE=str(trusted))[0] == 0


def test_without_a_receiver_or_a_secret_it_says_what_is_missing_and_shows_none(command: Command) -> None:
    code, said = command.end("notifier", WILDTAG_NOTIFY_URL="", WILDTAG_NOTIFY_SECRET="")
    assert (code, "WILDTAG_NOTIFY_URL" in said) == (1, True)
    code, said = command.end("notifier", WILDTAG_NOTIFY_SECRET="")
    assert (code, "WILDTAG_NOTIFY_SECRET" in said) == (2, True)
    short = base64.b64encode(b"short").decode()
    code, said = command.end("notifier", WILDTAG_NOTIFY_SECRET=f"whsec_{short}")
    assert (code, short in said) == (2, False)


@pytest.mark.long
def test_receivers_of_a_file_are_served_by_one_process_which_may_be_killed(
    world: World, command: Command, tmp_path: Path
) -> None:
    """One fails, so its deliveries wait; the other one gets everything. Commands name each."""
    with receiving() as good:
        world.receiver.answer = lambda _: Reply(503, {"retry-after": "600"})
        file = tmp_path / "receivers.json"
        file.write_text(json.dumps({"good": {"url": good.url, "secret": SECRET, "attempts": 20}}))
        settings = {"WILDTAG_NOTIFY_FILE": str(file), "WILDTAG_NOTIFY_ATTEMPTS": "20"}
        names = [f"{number:02}.jpg" for number in range(30)]
        for begin in (0, 10, 20):
            world.finish(*names[begin : begin + 10])
            with command.notifier(**settings) as process:  # which kills it
                eventually_while(process, partial(good.has_seen, begin + 5), PATIENCE_S)
        with command.notifier(**settings) as process:
            eventually_while(process, lambda: len(set(good.taken)) == 30, PATIENCE_S)

            def listed() -> dict[str, Any]:
                code, out = command.run("webhooks", "list", "--json", **settings)
                assert code == 0
                return {one["name"]: one for one in map(json.loads, out.splitlines())}

            # the notifier stores the last answers after the receiver has sent them
            eventually_while(process, lambda: listed()["good"]["waiting"] == 0, PATIENCE_S)
            standing = listed()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        assert (standing["default"]["waiting"], standing["default"]["delivered"]) == (30, 0)
        assert (standing["good"]["waiting"], standing["good"]["lost"], standing["good"]["served"]) == (0, 0, True)
        assert command.run("webhooks", "pause", "good", **settings)[0] == 0
        assert command.run("webhooks", "rename", "good", "better", **settings)[0] == 0
        assert command.run("webhooks", "forget", "default", "--yes", **settings)[0] == 0
        assert "better" in command.run("webhooks", "list", **settings)[1]
        code, out = command.run("webhooks", "test", "good", "--json", **settings)
        assert (code, json.loads(out)["receiver"]) == (0, "good")
        assert command.run("webhooks", "test", **settings)[0] == 1


def test_a_new_receiver_is_sent_nothing_old(world: World, command: Command) -> None:
    now = {"WILDTAG_NOTIFY_FROM_BEGINNING": "false"}
    world.finish("old.jpg")
    with command.notifier(**now) as process:
        eventually_while(process, lambda: world.client.hexists(world.keys.heartbeats, "notifier"), PATIENCE_S)
        eventually_while(process, lambda: world.client.xinfo_groups(world.keys.feed), PATIENCE_S)
        world.finish("new.jpg")
        eventually_while(process, lambda: world.receiver.taken and world.quiet(), PATIENCE_S)
    with command.notifier() as process:  # from the beginning, which is for new receivers
        world.finish("newer.jpg")
        eventually_while(process, lambda: len(world.receiver.taken) == 2 and world.quiet(), PATIENCE_S)
    assert world.receiver.keys() == ["new.jpg", "newer.jpg"]


def test_a_wrong_file_is_refused_in_one_line_without_its_secrets(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "receivers.toml"
    file.write_text(f'[shop]\nurl = "ftp://x"\nsecret = "{SECRET}"\n')
    code, said = command.end("notifier", WILDTAG_NOTIFY_FILE=str(file))
    assert (code, "receiver shop: not a URL" in said, SECRET in said) == (1, True, False)


def test_a_change_of_the_file_is_followed_unless_it_is_wrong(world: World, command: Command, tmp_path: Path) -> None:
    """A receiver that is added begins with now, and the others go on."""
    with receiving() as first, receiving() as second:
        file = tmp_path / "receivers.json"

        def tables(**receivers: Receiver) -> str:
            return json.dumps({name: {"url": one.url, "secret": SECRET} for name, one in receivers.items()})

        def served() -> list[str]:
            return [one.name for one in Receivers(world.client, world.keys).standing() if one.served]

        file.write_text(tables(first=first))
        settings = {"WILDTAG_NOTIFY_FILE": str(file), "WILDTAG_NOTIFY_URL": "",
                    "WILDTAG_NOTIFY_FROM_BEGINNING": "false"}  # fmt: skip
        with command.notifier(**settings) as process:
            eventually_while(process, lambda: served() == ["first"], PATIENCE_S)
            eventually_while(process, lambda: world.client.exists(world.keys.feed), PATIENCE_S)  # with a group
            world.finish("a.jpg")
            eventually_while(process, lambda: first.taken, PATIENCE_S)
            file.write_text("{")
            world.finish("b.jpg")
            eventually_while(process, lambda: len(first.taken) == 2, PATIENCE_S)
            file.write_text(tables(first=first, second=second))
            eventually_while(process, lambda: served() == ["first", "second"], PATIENCE_S)
            eventually_while(process, lambda: len(world.client.xinfo_groups(world.keys.feed)) == 2, PATIENCE_S)
            world.finish("c.jpg")
            eventually_while(process, lambda: len(first.taken) == 3 and second.taken, PATIENCE_S)
            file.write_text(tables(second=second))
            eventually_while(process, lambda: served() == ["second"], PATIENCE_S)
        assert (first.keys(), second.keys()) == (["a.jpg", "b.jpg", "c.jpg"], ["c.jpg"])
