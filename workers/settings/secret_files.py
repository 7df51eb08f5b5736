"""Secrets from files: ``WILDTAG_<NAME>_FILE`` names a file that holds the value of ``WILDTAG_<NAME>``.

Docker and Kubernetes mount secrets as files, and systemd passes credentials in this way. A file is read when the
settings are. Every setting of ``workers.settings.secret_settings`` can come from a file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from workers.settings.names import BadSetting
from workers.settings.secret_settings import FILE_VARIABLES, SECRETS, file_variable
from workers.settings.variables import variable

LONGEST = 64 * 1024  # bytes; far above every secret, and low enough for a file that was named by mistake


class BadSecretFile(BadSetting):
    """A file of a secret cannot be read, or does not hold one. Its text names the file and nothing of its content."""


def without_files(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without them: for a process that is given the values."""
    return {name: value for name, value in environment.items() if name.upper() not in FILE_VARIABLES}


class SecretFiles(PydanticBaseSettingsSource):
    """The values that files hold, for pydantic-settings. Raises ``BadSecretFile``.

    A file and a value for one setting are refused: one of them would be ignored without a word.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """See ``PydanticBaseSettingsSource``."""
        _ = field
        given = {name.upper(): value for name, value in os.environ.items() if value}
        file = given.get(file_variable(field_name)) if field_name in SECRETS else None
        if file is None:
            return None, field_name, False
        if variable(field_name) in given:
            raise BadSecretFile(f"{variable(field_name)} and {file_variable(field_name)} are both set: remove one")
        return _content(file_variable(field_name), Path(file).expanduser()), field_name, False

    def __call__(self) -> dict[str, Any]:
        """The values by the names of their settings."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


def _content(named_by: str, file: Path) -> str:
    """The one line of a file, without its end."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # to open a pipe would wait
            raise BadSecretFile(f"{named_by} names {file}, which is no file")
        with file.open("rb") as opened:
            data = opened.read(LONGEST + 1)
    except FileNotFoundError:
        raise BadSecretFile(f"{named_by} names {file}, which is missing") from None
    except OSError as exc:
        raise BadSecretFile(f"{named_by} names {file}, which cannot be read: {exc.strerror}") from exc
    try:
        text = data.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        text = "\0"
    if len(data) > LONGEST or any(ord(one) < 32 or ord(one) == 127 for one in text):
        raise BadSecretFile(f"{named_by} names {file}, which does not hold a secret: one line of text is expected")
    if not text.strip():
        raise BadSecretFile(f"{named_by} names {file}, which is empty")
    return text
