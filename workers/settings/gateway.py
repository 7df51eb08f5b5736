"""The HTTP gateway: where it listens, who may call it, and its limits."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt

from workers.settings.topic import Topic, Words


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
    backlog_max: PositiveInt = Field(
        10_000, description="Waiting objects above which uploads are rejected with status 503."
    )
    cors_origins: Words = Field(
        (), description="Origins whose pages may call the gateway (CORS), for example https://example.org."
    )
