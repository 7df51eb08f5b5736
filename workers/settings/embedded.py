"""The folders of the embedded stack."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from workers.settings.topic import Topic, UserPath


def default_home() -> Path:
    """The home that is used if none is set."""
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "wildtag"


class EmbeddedSettings(Topic):
    """Folders of the embedded stack."""

    home: UserPath = Field(
        default_factory=default_home,
        description="Folder for the data of the embedded stack. Default: wildtag in $XDG_DATA_HOME, or in"
        " ~/.local/share.",
    )
    inbox: UserPath | None = Field(
        None, description="Folder that serves as the bucket of the embedded stack. Default: inbox in the home folder."
    )
    output_folder: UserPath | None = Field(
        None,
        description="Folder for uploads and for the files that wildtag writes, so that the inbox may be read-only."
        " Default: the inbox.",
    )

    log_bytes: int = Field(
        10_000_000, ge=10_000, description="Size from which a log of the embedded stack is rotated, in bytes."
    )
    logs_kept: int = Field(3, ge=0, le=1000, description="Number of old logs that are kept of each process.")

    @property
    def inbox_folder(self) -> Path:
        """The folder that is the bucket of the embedded stack."""
        return self.inbox or self.home / "inbox"

    @property
    def calibration_folder(self) -> Path:
        """Where ``wildtag calibrate`` stores confidence models, one for each space."""
        return self.home / "calibration"

    @property
    def cache_folder(self) -> Path:
        """Files that can be computed again, such as class vectors."""
        return self.home / "cache"

    @property
    def captions_folder(self) -> Path:
        """The caption databases."""
        return self.home / "captions"

    @property
    def images_folder(self) -> Path:
        """The indexes of images; they can be made again."""
        return self.home / "images"
