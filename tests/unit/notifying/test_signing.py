"""Webhooks are signed so that a receiver's own library accepts them, and nothing else of the same look."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from workers.notifying.signing import signed
from workers.settings.settings import Settings
from workers.settings.webhook_secrets import secrets_of

SEEDED = random.Random(7)


def secret(size: int = 32) -> str:
    return f"whsec_{base64.b64encode(SEEDED.randbytes(size)).decode()}"


MINE, OTHER = secret(), secret()


def verify(one: str, body: bytes, headers: Mapping[str, str]) -> None:
    Webhook(one).verify(body, dict(headers), json_parse=False)


@given(st.text(max_size=200))
def test_the_library_of_standard_webhooks_accepts_it(body: str) -> None:
    data = body.encode("utf-8", "replace")
    verify(MINE, data, signed(secrets_of(MINE), "msg_1", data, time.time()))


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body", "secret"])
def test_what_was_changed_on_the_way_is_not_accepted(changed: str) -> None:
    now = time.time()
    headers = dict(signed(secrets_of(MINE), "msg_1", b"{}", now))
    if changed in headers:
        headers[changed] = "msg_2" if changed == "webhook-id" else str(int(now) - 1)
    with pytest.raises(WebhookVerificationError):
        verify(OTHER if changed == "secret" else MINE, b"{ }" if changed == "body" else b"{}", headers)


def test_an_attempt_of_long_ago_is_not_accepted() -> None:
    with pytest.raises(WebhookVerificationError):
        verify(MINE, b"{}", signed(secrets_of(MINE), "msg_1", b"{}", time.time() - 3600))


def test_while_one_secret_takes_anothers_place_both_are_accepted() -> None:
    headers = signed(secrets_of(f"{MINE}, {OTHER}"), "msg_1", b"{}", time.time())
    for one in (MINE, OTHER):
        verify(one, b"{}", headers)


@pytest.mark.parametrize(
    "text", ["", "whsec_", MINE.removeprefix("whsec_"), "whsec_not base64!" * 9, secret(23), secret(65), f"{MINE},"]
)
def test_what_is_no_secret_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="openssl rand") as caught:
        secrets_of(text)
    assert len(text) < 8 or text not in str(caught.value)


def settings(**given: str) -> Settings:
    return Settings.model_validate(given)


def test_settings_show_neither_the_secret_nor_the_address() -> None:
    configured = settings(notify_url="https://example.org/hooks/a-token", notify_secret=MINE)
    assert "a-token" not in repr(configured)
    assert MINE not in repr(configured)
    assert Settings.is_secret("WILDTAG_NOTIFY_SECRET")
    assert Settings.is_secret("WILDTAG_NOTIFY_URL")


@pytest.mark.parametrize("url", ["example.org/hook", "ftp://example.org/", "https://", "http://a:b/", "https://a/#b"])
def test_what_cannot_be_posted_to_is_no_receiver(url: str) -> None:
    with pytest.raises(ValidationError, match="notify_url"):
        settings(notify_url=url, notify_secret=MINE)


def test_nobody_is_told_without_a_signature() -> None:
    with pytest.raises(ValidationError, match="notify_secret"):
        settings(notify_url="https://example.org/hook")
