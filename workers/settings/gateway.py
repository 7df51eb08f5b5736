"""The HTTP gateway: where it listens, who may call it, and its limits."""

from __future__ import annotations

import re

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from workers.settings.topic import Topic, Words

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")


class GatewaySettings(Topic):
    """The gateway and its clients."""

    gateway_host: str = Field("127.0.0.1", description="Address on which the gateway listens.")
    gateway_port: int = Field(
        8080, ge=1, le=65535,
        description="Port on which the gateway listens. When it is not set and 8080 is in use, `wildtag up` takes a"
        " free one.",
    )  # fmt: skip
    api_key: str | None = Field(
        None, pattern=r"^[!-~]+$", repr=False, description="API key that `wildtag upload` sends to a gateway."
    )
    webhook_token: str | None = Field(
        None, min_length=8, pattern=r"^[!-~]+$", repr=False,
        description="Bearer token that senders of events must present to the gateway.",
    )  # fmt: skip
    admin_key: str | None = Field(
        None, min_length=16, pattern=r"^[!-~]+$", repr=False, description="API key that has every scope."
    )
    key_required: bool | None = Field(
        None,
        description="Whether requests must present an API key. Default: yes, unless the gateway listens on a loopback"
        " address.",
    )
    upload_prefix: str = Field(
        "uploads/", pattern=r"^[^/.].*/$",
        description="Prefix of the keys of uploaded images. They are tagged whatever the object filter says.",
    )  # fmt: skip
    uploads_max: PositiveInt = Field(32, description="Uploads received at the same time.")
    streams_max: PositiveInt = Field(500, description="Event streams open at the same time.")
    request_rate: PositiveFloat | None = Field(
        None, description="Requests per second allowed for each API key. Default: no limit."
    )
    recheck_access_s: float = Field(
        10.0, ge=4, le=60,
        description="Seconds after which an open stream or download ends at the latest when its API key was removed.",
    )  # fmt: skip
    backlog_max: PositiveInt = Field(
        10_000,
        description="Waiting objects above which uploads, batches and retags are rejected with status 503. One API"
        " key may have as many waiting as there is room for others, at most half; admin keys may have all.",
    )
    cors_origins: Words = Field(
        (),
        description="Origins whose pages may call the gateway (CORS), for example https://example.org. `*` and `null`"
        " only where API keys are required.",
    )

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin not in {"*", "null"} and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin[:100]!r} is not an origin: expected one like https://example.org, without a path"
                )
        return origins
