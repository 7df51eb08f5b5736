"""Shared by the models of the topics: how they are read, and the types of their fields."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from workers.settings.secret_files import SecretFiles
from workers.settings.variables import PREFIX


def _words(value: object) -> object:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


def _ports(value: object) -> object:
    return (value,) if isinstance(value, int) else _words(value)


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
"""Words separated by commas."""
Numbers = Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], NoDecode, BeforeValidator(_words)]
"""Numbers separated by commas."""
Ports = Annotated[tuple[Annotated[int, Field(ge=0, le=65535)], ...], NoDecode, BeforeValidator(_ports)]
"""Ports separated by commas."""
UserPath = Annotated[Path, AfterValidator(Path.expanduser)]
"""A path in which ``~`` is the home folder of the user."""


class Topic(BaseSettings):
    """The settings of one topic: a part of ``Settings``, where their names are flat."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource, dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:  # fmt: skip
        """Arguments come first, then variables, then the files of secrets (see pydantic-settings)."""
        _ = dotenv_settings, file_secret_settings  # not used: they are off, and read no names that end in _FILE
        return init_settings, env_settings, SecretFiles(settings_cls)
