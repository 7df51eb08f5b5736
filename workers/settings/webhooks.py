"""Webhooks: the receivers that are notified of finished objects. A file may list several."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, PositiveFloat, PositiveInt, ValidationInfo, field_validator

from workers.outgoing.address_policy import AddressPolicy
from workers.settings.topic import Topic, UserPath, Words
from workers.settings.webhook_kinds import RESULTS, kinds_of, receiver_url
from workers.settings.webhook_secrets import secrets_of


class WebhookSettings(Topic):
    """The notifier."""

    notify_url: str | None = Field(
        None, repr=False,
        description="URL to which every finished object is POSTed. It is treated as a secret, because its path often"
        " is one.",
    )  # fmt: skip
    notify_secret: str | None = Field(
        None, repr=False, validate_default=True,
        description="Signing secret: whsec_ and base64. During a rotation, the new and the old secret, separated by a"
        " comma.",
    )  # fmt: skip
    notify_events: Words = Field(
        RESULTS,
        description="Kinds of events that the receiver gets: object.done, object.failed, object.dead, object.skipped,"
        " object.removed, batch.finished; object.* and * stand for several. Default: the first four.",
    )
    notify_file: UserPath | None = Field(
        None,
        description="TOML or JSON file with receivers, each with its own URL, secret and kinds of events; see the"
        " guide to webhooks. They are served besides the one of WILDTAG_NOTIFY_URL, whose name is default. Default:"
        " none.",
    )
    notify_from_beginning: bool = Field(
        default=False,
        description="Send new receivers also what the feed has stored before they were added. Default: they begin"
        " with what finishes from then on.",
    )
    notify_ca_file: UserPath | None = Field(
        None, description="CA certificates (PEM) for the receiver. Default: those of the system."
    )
    notify_timeout_s: PositiveFloat = Field(15.0, le=300, description="Timeout of one delivery attempt, in seconds.")
    notify_attempts: PositiveInt = Field(
        10, description="Failed attempts after which a delivery becomes a dead letter. 10 attempts take 22 hours."
    )
    notify_at_once: PositiveInt = Field(8, le=100, description="Delivery attempts at the same time.")

    outgoing_allow: Words = Field(
        (),
        description="Hosts, addresses and networks to which requests may be sent although they are not on the public"
        " internet, for example receiver.lan,127.0.0.1,10.0.0.0/8. Default: none.",
    )

    @field_validator("outgoing_allow")
    @classmethod
    def _places(cls, allowed: tuple[str, ...]) -> tuple[str, ...]:
        AddressPolicy.of(allowed)  # raises ValueError
        return allowed

    @field_validator("notify_url")
    @classmethod
    def _receiver(cls, url: str | None) -> str | None:
        if url is None:
            return None
        receiver_url(url)
        return url

    @field_validator("notify_events")
    @classmethod
    def _kinds(cls, events: tuple[str, ...]) -> tuple[str, ...]:
        kinds_of(events)  # raises ValueError
        return events

    @field_validator("notify_file")
    @classmethod
    def _absolute(cls, file: Path | None) -> Path | None:
        return None if file is None else file.absolute()  # other processes may have another current folder

    @field_validator("notify_secret")
    @classmethod
    def _signs(cls, secret: str | None, info: ValidationInfo) -> str | None:
        if secret is not None:
            secrets_of(secret)
        elif info.data.get("notify_url") is not None:
            raise ValueError("required with WILDTAG_NOTIFY_URL: echo whsec_$(openssl rand -base64 32)")
        return secret
