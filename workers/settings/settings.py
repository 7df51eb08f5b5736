"""All settings in one frozen object, read from ``WILDTAG_*`` variables at an entry point and handed down."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import model_validator

from workers.settings.caption_databases import CaptionSettings
from workers.settings.dispatch import DispatchSettings
from workers.settings.embedded import EmbeddedSettings, default_home
from workers.settings.encoder_in_use import NEXT, chosen_in
from workers.settings.events import EventSettings
from workers.settings.gateway import GatewaySettings
from workers.settings.method import MethodSettings
from workers.settings.monitoring import MonitoringSettings
from workers.settings.names import refuse_old_names
from workers.settings.object_store import StoreSettings
from workers.settings.queue_names import INGESTION, QUEUES, SEGMENTATION, STAGES
from workers.settings.redis import RedisSettings
from workers.settings.secret_files import without_files
from workers.settings.segmentation import SegmentSettings
from workers.settings.variables import PREFIX, variable
from workers.settings.webhooks import WebhookSettings

__all__ = ["INGESTION", "QUEUES", "SEGMENTATION", "STAGES", "TOPICS", "Settings"]

# in the order of the documentation; pydantic collects the fields of bases from the last to the first
TOPICS = (
    EmbeddedSettings, RedisSettings, StoreSettings, EventSettings, MethodSettings, CaptionSettings, SegmentSettings,
    DispatchSettings, GatewaySettings, WebhookSettings, MonitoringSettings,
)  # fmt: skip


class Settings(
    MonitoringSettings, WebhookSettings, GatewaySettings, DispatchSettings, SegmentSettings, CaptionSettings,
    MethodSettings, EventSettings, StoreSettings, RedisSettings, EmbeddedSettings,
):  # fmt: skip
    """Every setting, by a flat name. The suffix of a name gives the unit: ``_s`` seconds, ``_ms`` milliseconds.

    Raises ``OldName`` when the environment has a variable of a setting that was renamed or removed.
    """

    @model_validator(mode="before")
    @classmethod
    def _no_old_names(cls, given: object) -> object:
        refuse_old_names(os.environ)
        return given

    @model_validator(mode="before")
    @classmethod
    def _encoder_in_use(cls, given: object) -> object:
        if not isinstance(given, dict) or str(given.get("key_prefix", "")).endswith(NEXT):
            return given  # what another encoder prepares has its own
        home = Path(given["home"]).expanduser() if given.get("home") else default_home()
        return {**given, **chosen_in(home, given)}

    def environment(self) -> dict[str, str]:
        """The ``WILDTAG_*`` variables from which another process builds the same settings."""
        values = self.model_dump(mode="json", exclude_none=True)
        return {
            variable(name): ",".join(map(str, value)) if isinstance(value, list) else str(value)
            for name, value in values.items()
        }

    @classmethod
    def is_secret(cls, name: str) -> bool:
        """Whether the ``WILDTAG_*`` variable of this name holds a value that must not be shown."""
        field = cls.model_fields.get(name.removeprefix(PREFIX).lower())
        return field is not None and not field.repr

    def process_environment(self) -> dict[str, str]:
        """This process's environment with these settings laid over it."""
        return {**without_files(os.environ), **self.environment()}
