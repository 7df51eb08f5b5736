"""What a client writes beside an image that it uploads: parameters of the request, or fields of its form."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
from fastapi import Query

from tasks.message_parts import UserMetadata
from workers.gateway.forms import Form
from workers.gateway.problems import Problem
from workers.stores.user_metadata import BadMetadata, checked, from_name

FIELDS = frozenset({"file_name", "client_id", "metadata"})
LONGEST = 8192  # characters of a parameter, whose texts are limited more closely

FileName = Annotated[
    str | None,
    Query(max_length=LONGEST, description="The name of the file; default: that of the file in a form."),
]
ClientId = Annotated[str | None, Query(max_length=LONGEST, description="An id of your own. The record repeats it.")]
Metadata = Annotated[
    str | None,
    Query(
        max_length=LONGEST,
        description="A JSON object of texts, at most 2,048 bytes together with `client_id`. The record repeats it,"
        " and search finds its words.",
        examples=['{"title": "Sunset in Paris"}'],
    ),
]


class Given:
    """The parameters of a request."""

    def __init__(
        self, file_name: str | None = None, client_id: str | None = None, metadata: str | None = None
    ) -> None:
        self._given = {"file_name": file_name, "client_id": client_id, "metadata": metadata}
        self._named = file_name is not None

    def with_form(self, form: Form | None) -> UserMetadata | None:
        """What is stored beside the image, also from the fields of its form. Raises ``Problem``."""
        given = {name: value for name, value in self._given.items() if value is not None}
        for name, data in (form.fields if form else {}).items():
            if name in given:
                raise Problem("bad-request", f"{name} is given twice: in the address and in the form")
            given[name] = _text(name, data)
        try:
            found = checked(given.get("file_name"), given.get("client_id"), _object(given.get("metadata")))
        except BadMetadata as exc:
            raise _problem(exc.field, str(exc)) from exc
        self._named = "file_name" in given
        return found if form is None or self._named else named(found, form.file_name)

    def check_one_name(self, files: int) -> None:
        """Raises ``Problem`` for a name that is given for several files."""
        if self._named and files > 1:
            raise _problem("file_name", f"the form has {files} files; give each its own name in the form")


def named(user: UserMetadata | None, file_name: str) -> UserMetadata | None:
    """What is stored beside an image, with the name that its file has in the form."""
    called = from_name(file_name)
    if called is None:
        return user if user is None else msgspec.structs.replace(user, file_name=None)
    return msgspec.structs.replace(user or UserMetadata(), file_name=called)


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise _problem(name, "this is not UTF-8") from exc


def _object(text: str | None) -> dict[object, object]:
    if text is None or not text.strip():
        return {}
    repeated: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[object, object]:
        made: dict[object, object] = dict(found)
        if len(made) < len(found):
            repeated.append(next(key for place, (key, _) in enumerate(found) if key in dict(found[:place])))
        return made

    try:
        value = json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as exc:
        raise _problem("metadata", f"this is not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise _problem("metadata", "this is not a JSON object")
    if repeated:
        raise _problem("metadata", f"the name {ascii(repeated[0])[:60]} is given twice")
    return value


def _problem(field: str, reason: str) -> Problem:
    errors = [{"where": field, "reason": reason}]
    return Problem("invalid", "what describes the image cannot be stored", errors=errors)
