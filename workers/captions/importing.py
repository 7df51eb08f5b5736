"""Imports captions from files, or from the starter list, to a version of a caption database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path

from tasks.encoders.protocols import Space, TextEncoder
from tasks.extraction.phrases import BY
from vectordb.building import CHUNK, Draft, Hooks, Prepare, build
from vectordb.cleaning import cleaned
from vectordb.library import ChangeableLibrary, Manifest, UnsafeName, safe
from vectordb.readers import Source
from vectordb.source_rows import Rows, Texts
from vectordb.starter import NAME
from workers.captions.encoding_backends import in_a_pool, in_this_process

READING = 2  # increase the number when the readers find other rows in the same files


@dataclass(frozen=True)
class Import:
    """An import: a source and the ``name`` of its version. Raises ``UnsafeName``.

    ``parse``: also parse the captions. ``vectors``: use the vectors of the source, if it has some.
    """

    source: Source
    name: str
    parse: bool = False
    version: str | None = None
    vectors: bool = True

    def __post_init__(self) -> None:
        if safe(self.name) == NAME:
            raise UnsafeName(f"{NAME!r} is reserved for the bundled captions; choose another name")

    @cached_property
    def identity(self) -> str:
        """Identifies the source and how it is read. A build is resumed only with the same identity."""
        source = self.source
        return json.dumps(
            [source.fingerprint(), source.format, source.column, self.parse, self.vectors, CHUNK, READING]
        )

    @property
    def captions_version(self) -> str:
        """``name@version``; the version is derived from the source unless given."""
        return f"{self.name}@{self.version or hashlib.blake2b(self.identity.encode(), digest_size=5).hexdigest()}"

    def draft(self, space: Space, now: datetime) -> Draft:
        """The builder's parameters."""
        return Draft(
            name=self.name,
            version=self.captions_version.partition("@")[2],
            space_id=space.id,
            dimension=space.dimension,
            created=now,
            source=self.identity,
            origin=_origin(self.source.files),
            profile=BY if self.parse else None,
        )


def local(
    load: Callable[..., TextEncoder], processes: int, space_id: str, *, parse: bool, threads: int | None = None
) -> Prepare:
    """Encode on this machine with this number of processes. ``load``, ``threads``: see ``in_a_pool``."""
    if processes > 1:
        return in_a_pool(load, processes, space_id, parse=parse, threads=threads)
    return in_this_process(cache(load), space_id, parse=parse)


def run(
    library: ChangeableLibrary, what: Import, space: Space, prepare: Prepare, now: datetime, hooks: Hooks,
    *, resume: bool = True,
) -> Manifest:  # fmt: skip
    """Build the version. Raises what ``vectordb.building.build`` raises."""
    rows: Iterable[Rows] = what.source.read(hooks.consumed)
    if not what.vectors:
        rows = (Texts(piece.texts, None, piece.skipped, piece.notes) for piece in rows)
    return build(library, what.draft(space, now), rows, cleaned, prepare, hooks, resume=resume)


def _origin(files: tuple[Path, ...]) -> str:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0].name}{more}" if files else ""
