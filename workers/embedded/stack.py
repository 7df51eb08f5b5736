"""The embedded stack: the services of one machine, their order, and their health checks."""

from __future__ import annotations

import json
import sys
import urllib.error
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from vectordb.proxies import DIRECT
from workers.embedded.redis_server import PrivateRedis
from workers.settings.process_environment import environment_of
from workers.settings.secret_settings import SECRETS
from workers.settings.settings import SEGMENTATION, STAGES, Settings
from workers.settings.webhook_receivers import any_configured
from workers.supervision.supervisor import Service, read_stack
from workers.wiring.encoder_in_use import in_use
from workers.wiring.liveness import liveness_check
from workers.wiring.wiring import Wiring

_FOUND = frozenset({"home", "redis_url", "broker_url", "broker_ca_file", "inbox", "output_folder"})
"""Settings that a stack publishes with its addresses."""


def command(*arguments: str) -> tuple[str, ...]:
    """One of wildtag's own commands, run by this interpreter.

    ``-P`` keeps the current folder off the module path: a ``tasks.py`` there must not take the place of ours.
    """
    return (sys.executable, "-P", "-m", "workers.cli", *arguments)


def services(
    settings: Settings, redis: PrivateRedis, flower_port: int, devices: Sequence[str] = ()
) -> list[Service]:  # fmt: skip
    """All services but Redis: workers, dispatcher, the watcher or sweep of the bucket, gateway and Flower.

    ``settings`` must contain the URL of the private Redis. ``devices``: one embedding worker for each, with this
    value of ``WILDTAG_DEVICE``; by default one worker with that of the settings.
    """
    wiring = Wiring(settings)
    after = (redis.name,)

    def member(name: str, beats_as: str, *arguments: str, device: str | None = None, **rest: Any) -> Service:
        liveness = liveness_check(wiring, beats_as)
        own = settings if device is None else settings.model_copy(update={"device": device})
        env = environment_of(f"worker-{beats_as}" if arguments[0] == "worker" else name, own)
        if name.startswith("worker-"):  # their matrices are small: a second thread does not pay
            env |= {"OPENBLAS_NUM_THREADS": "1"}
        return Service(
            name, command(*arguments), liveness.ready, healthy=liveness.healthy, after=after, env=env, **rest
        )

    def worker(stage: str, number: int = 1, device: str | None = None) -> Service:
        name = f"worker-{stage}" if number == 1 else f"worker-{stage}-{number}"
        if stage == STAGES[0] and number == 1 and devices:
            device = devices[0]
        return member(name, stage, "worker", stage, device=device, ready_timeout=180, stop_timeout=10)

    def bucket_service() -> Service:
        """The process that finds changes: the watcher of a folder, or the sweep of a bucket on a server."""
        if settings.s3_endpoint is None:
            return member("watcher", "watcher", "watcher")
        return member("reconcile", "reconcile", "reconcile", "--every", str(settings.rescan_s))

    port = settings.gateway_port
    return [
        *(worker(stage) for stage in (*STAGES, SEGMENTATION)),
        *(worker(STAGES[0], number, device) for number, device in enumerate(devices[1:], 2)),
        member("dispatcher", "dispatcher", "dispatcher"),
        bucket_service(),
        # Uvicorn gives requests in progress three seconds to end
        Service("gateway", command("gateway", "--port", str(port)), _answers(port, "readyz"),
                env=environment_of("gateway", settings), after=after, stop_timeout=5),
        *([member("writer", "writer", "writer")] if settings.write_back != "off" else []),
        *([member("notifier", "notifier", "notifier")] if any_configured(settings) else []),
        Service("flower", command("flower", "--port", str(flower_port)), _answers(flower_port),
                env=environment_of("flower", settings), after=after),
    ]  # fmt: skip


def _answers(port: int, path: str = "healthcheck") -> Callable[[], bool]:
    def ready() -> bool:
        try:
            with DIRECT.open(f"http://127.0.0.1:{port}/{path}", timeout=2) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as exc:  # a full disk is no reason not to start: records can be read
            return exc.code == HTTPStatus.SERVICE_UNAVAILABLE and set(json.load(exc).get("missing", ())) == {"disk"}

    return ready


def published(settings: Settings) -> dict[str, Any]:
    """The settings that were given to the stack, as JSON values, without secrets and what ``running`` finds out."""
    given = settings.model_fields_set - SECRETS - _FOUND
    return {name: value for name, value in settings.model_dump(mode="json").items() if name in given}


def reached(settings: Settings) -> Settings:
    """The settings of the stack that runs in this home; these settings if none runs or if they name a Redis.

    The encoder is the one that a switch has put into use there.
    """
    return in_use(settings) if "redis_url" in settings.model_fields_set else running(settings) or settings


def running(settings: Settings) -> Settings | None:
    """Settings to connect to the stack of this home, with those it was given; ``None`` if none runs."""
    info = read_stack(settings.home)
    if info is None:
        return None
    found = _as_given(settings, info.settings).model_copy(
        update={
            "redis_url": info.addresses["redis"],
            "broker_url": info.addresses["broker"],
            "broker_ca_file": Path(file) if (file := info.addresses.get("broker_ca_file")) else None,
            "inbox": Path(info.addresses["inbox"]),
            "output_folder": Path(output) if (output := info.addresses.get("output")) else None,
        }
    )
    return in_use(found)


def _as_given(settings: Settings, stack: Mapping[str, Any]) -> Settings:
    """These settings; what they do not give is as the stack was given it: encoder, bucket, captions and so on."""
    known = {name: value for name, value in stack.items() if name in Settings.model_fields and name not in _FOUND}
    own = {name: getattr(settings, name) for name in settings.model_fields_set}
    try:
        return Settings(**{**known, **own})
    except ValueError:  # another version of wildtag started it
        return settings
