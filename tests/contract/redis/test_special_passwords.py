"""Every client reaches a Redis whose user and password have special characters, written as %XX in its URL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from workers.broker.celery_app import create_app
from workers.broker.publisher import Publisher
from workers.processes.flower import passwords_of, spellings
from workers.redis.connection import Client, connect, connect_async
from workers.settings.settings import Settings

USER = "us:er@é/%"
ODD = "a@b:c/d?e#f[g]h%i+j \"k'é\\l;m,n&o=p$q{r}|s"


@pytest.fixture
def url(redis_url: str, client: Client) -> Iterator[str]:
    """Of the Redis of the tests, for a user of its own."""
    server: Any = client  # redis-py has no types for this
    server.execute_command("ACL", "SETUSER", USER, "on", f">{ODD}", "~*", "&*", "+@all")
    parts = urlsplit(redis_url)
    access = f"{quote(USER, safe='')}:{quote(ODD, safe='')}"
    yield parts._replace(netloc=f"{access}@{parts.netloc.rpartition('@')[2]}").geturl()
    server.execute_command("ACL", "DELUSER", USER)


def test_all_clients_reach_it(url: str) -> None:
    settings = Settings(redis_url=url)
    assert connect(settings.redis_url).acl_whoami() == USER

    async def ask() -> object:
        client = connect_async(settings.redis_url)
        try:
            return await client.acl_whoami()
        finally:
            await client.aclose()

    assert asyncio.run(ask()) == USER
    Publisher(create_app(settings.broker, "test:", 60)).reach()


def test_a_wrong_password_is_not_shown(url: str) -> None:
    wrong = url.replace(quote(ODD, safe=""), quote(f"{ODD}no", safe=""))
    for attempt in (
        lambda: connect(wrong, tries=1).ping(),
        lambda: Publisher(create_app(Settings(redis_url=wrong).broker, "test:", 60)).reach(),
    ):
        with pytest.raises(Exception) as caught:  # noqa: PT011 -- of two libraries
            attempt()
        assert ODD not in str(caught.value)
        assert quote(ODD, safe="") not in str(caught.value)


def test_flower_hides_every_spelling(url: str) -> None:
    hidden = spellings(passwords_of(Settings(redis_url=url).broker))
    for form in (ODD, quote(ODD, safe="")):
        assert form.encode() in hidden
