"""Logs, traces, Flower and health checks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from workers.settings.topic import Topic
from workers.telemetry.formats import LogFormat

_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")
HIDDEN_FROM = 6  # characters of a password; to replace shorter ones would damage Flower's pages


class MonitoringSettings(Topic):
    """Monitoring for operators."""

    log_format: LogFormat = Field(
        "auto",
        description="Format of the lines that processes log: `human`, `logfmt` (`key=value` pairs), or `json` (one"
        " object a line). With `auto`, `human` on a terminal, otherwise `logfmt`.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least important lines that processes log. Libraries log nothing below `info`."
    )
    access_log: bool = Field(
        default=True,
        description="Whether the gateway logs a line for each request. Health checks, metrics and files of the page"
        " are logged at the level `debug`.",
    )
    tracing: bool = Field(
        default=False,
        description="Whether processes send traces to an OpenTelemetry collector, which OpenTelemetry's own variables"
        " describe, such as `OTEL_EXPORTER_OTLP_ENDPOINT`. Needs the extra `tracing`.",
    )

    flower_port: int | None = Field(
        None, ge=1, le=65535, description="Port on which Flower listens. Default: 5555, or a free one."
    )
    flower_auth: str | None = Field(
        None,
        repr=False,
        description="USER:PASSWORD that Flower requires; the password has at least 6 characters."
        " Default: made by `wildtag up` and stored in the file flower.auth of the home folder.",
    )

    @field_validator("flower_auth")
    @classmethod
    def _can_be_hidden(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[^:,]+:[^,]+", value):
            raise ValueError("must be USER:PASSWORD, without a comma")
        if value is not None and len(value.partition(":")[2]) < HIDDEN_FROM:
            raise ValueError(
                f"the password has fewer than {HIDDEN_FROM} characters, and Flower could not hide it on its pages:"
                " choose a longer one"
            )
        return value

    flower_url: str | None = Field(
        None,
        description="URL at which people reach Flower. The gateway's page links to it, and Flower serves requests to"
        " its host name. Behind a proxy it may have a path, such as https://host/flower. Default: no link, and Flower"
        " serves localhost and plain addresses.",
    )

    @field_validator("flower_url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            valid = False
        if not valid or not _PATH.fullmatch(parts.path):
            raise ValueError(
                "expected a URL such as https://host:5555 or https://host/flower; its path has letters, digits and"
                " the characters . _ ~ -"
            )
        return value

    flower_read_only: bool = Field(
        default=True,
        description="Flower only shows. If false, who has its password can also stop workers, revoke tasks and start"
        " new ones.",
    )

    metrics_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address on which the metrics of a process are served, see the next one.",
    )
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port on which each process but the gateway and Flower serves its metrics at /metrics, without a"
        " key. Processes of one machine need different ones. The processes of `wildtag up` ignore it, because its"
        " gateway has the metrics of all. Default: not served.",
    )

    gateway_metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Another port of the gateway, with nothing but its /metrics and without a key, on"
        " WILDTAG_METRICS_HOST: for a Prometheus on this machine where requests must present a key, as behind a"
        " reverse proxy. Default: not served.",
    )

    liveness_folder: Path | None = Field(
        None,
        description="Folder in which each process records its progress in a file, for health checks. Default: no"
        " files.",
    )
