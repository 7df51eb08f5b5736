"""The HTTP gateway: where it listens, who may call it, and its limits."""

from __future__ import annotations

import re
from ipaddress import ip_network

from pydantic import Field, NonNegativeFloat, PositiveInt, ValidationInfo, field_validator

from workers.settings.topic import Topic, Words

_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_ROUTES = frozenset({"v1", "docs", "docs.html", "openapi.json", "healthz", "readyz", "metrics", "index.html"})
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")


class GatewaySettings(Topic):
    """The gateway and its clients."""

    gateway_host: str = Field("127.0.0.1", description="Address on which the gateway listens.")
    gateway_port: int = Field(
        8080, ge=1, le=65535,
        description="Port on which the gateway listens. When it is not set and 8080 is in use, `wildtag up` takes a"
        " free one.",
    )  # fmt: skip
    root_path: str | None = Field(
        None,
        description="Path below which a reverse proxy publishes the gateway, for example /tags. Default: none.",
    )
    trusted_proxies: Words = Field(
        (),
        description="Addresses or networks of reverse proxies, for example 127.0.0.1 or 172.16.0.0/12, whose headers"
        " X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host are believed. Default: none.",
    )
    url: str | None = Field(
        None,
        description="URL of the gateway that `wildtag upload` sends to, for example https://host/tags. Default: that"
        " of the running stack.",
    )
    api_key: str | None = Field(
        None, pattern=r"^[!-~]+$", repr=False, description="API key that `wildtag upload` sends to a gateway."
    )
    webhook_token: str | None = Field(
        None, pattern=r"^[!-~]+$", repr=False,
        description="Bearer token that senders of events must present to the gateway: at least 8 characters. Several,"
        " separated by commas, are all accepted while they are replaced.",
    )  # fmt: skip
    admin_key: str | None = Field(
        None, pattern=r"^[!-~]+$", repr=False,
        description="API key that has every scope: at least 16 characters. Several, separated by commas, are all"
        " accepted while they are replaced.",
    )  # fmt: skip
    key_required: bool | None = Field(
        None,
        description="Whether requests must present an API key. Default: yes, unless the gateway listens on a loopback"
        " address and neither WILDTAG_ROOT_PATH nor WILDTAG_TRUSTED_PROXIES names a proxy.",
    )
    upload_prefix: str = Field(
        "uploads/", pattern=r"^[^/.].*/$",
        description="Prefix of the keys of uploaded images. They are tagged whatever the object filter says.",
    )  # fmt: skip
    uploads_max: PositiveInt = Field(32, description="Uploads received at the same time.")
    streams_max: PositiveInt = Field(500, description="Event streams open at the same time.")
    request_rate: NonNegativeFloat = Field(
        500.0, description="Requests per second allowed for each API key; for two seconds twice as many. 0: no limit."
    )
    upload_rate: NonNegativeFloat = Field(
        0.0,
        description="Images per second that each API key may upload. 0: no limit but that of the queue"
        " (WILDTAG_BACKLOG_MAX).",
    )
    expensive_rate: NonNegativeFloat = Field(
        50.0,
        description="Requests per second allowed for each API key that ask a model or look at many objects: searches,"
        " captions, duplicates and new batches. 0: no limit.",
    )
    guesses_per_minute: NonNegativeFloat = Field(
        120.0,
        description="Unknown API keys, sessions and tokens per minute that an address may present before it is"
        " refused with status 429. 0: no limit.",
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

    @property
    def webhook_tokens(self) -> tuple[str, ...]:
        """The tokens of ``webhook_token``."""
        return tuple(self.webhook_token.split(",")) if self.webhook_token else ()

    @property
    def admin_keys(self) -> tuple[str, ...]:
        """The keys of ``admin_key``."""
        return tuple(self.admin_key.split(",")) if self.admin_key else ()

    @field_validator("webhook_token", "admin_key")
    @classmethod
    def _long_enough(cls, value: str | None, info: ValidationInfo) -> str | None:
        least = 8 if info.field_name == "webhook_token" else 16
        if value is not None and any(len(one) < least for one in value.split(",")):
            raise ValueError(
                f"at least {least} characters are needed, and a comma separates one from the next:"
                " openssl rand -hex 24"
            )
        return value

    @field_validator("root_path")
    @classmethod
    def _path(cls, value: str | None) -> str | None:
        if value is None or not value.strip("/"):
            return None
        path = f"/{value.strip('/')}"
        if not _PATH.fullmatch(path):
            raise ValueError("expected a path such as /tags, with letters, digits and the characters . _ ~ -")
        if path.split("/")[1] in _ROUTES:
            raise ValueError(f"{path} cannot be told from the gateway's own paths: choose another one")
        return path

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for one in proxies:
            try:
                ip_network(one)
            except ValueError as exc:
                raise ValueError(
                    f"{one[:100]!r} is not an address or a network: expected one like 127.0.0.1 or 172.16.0.0/12"
                    f" ({exc})"
                ) from exc
        return proxies

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin not in {"*", "null"} and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin[:100]!r} is not an origin: expected one like https://example.org, without a path"
                )
        return origins
