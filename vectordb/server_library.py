"""Caption databases on a Qdrant server, which several machines share.

::

    PREFIX SPACE-NAME-VERSION-DIGEST   a collection: one version; the digest distinguishes shortened names
    PREFIX SPACE-active                an alias for the collection of the active version
    PREFIX registry                    all versions, their manifests, and who is working on which

(without the spaces). A version is visible when its record says that it is complete: ``finish`` writes that last.
Aliases are switched by one request, so readers see either the previous version or the new one. For two libraries on
one server, neither prefix may begin with the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from qdrant_client import QdrantClient, models

from vectordb.errors import Permanent, WildtagError
from vectordb.index import IndexMissing, WrongDimension
from vectordb.library import Manifest, UnsafeName, VersionActive, VersionExists, safe, split
from vectordb.locks import alone
from vectordb.options import IndexOptions
from vectordb.server import ServerIndex
from vectordb.server_client import ask
from vectordb.server_registry import BEAT_S, BUILDING, DROPPED, RESTORING, WHOLE, Claim, Record, Registry
from vectordb.snapshot import OnProgress, fill, reading, silent, write

_PART = 50  # characters of a space, name or version in a collection's name: 255 are allowed in total
_BUILD = 8  # characters of a build in it


class BuildTakenOver(Permanent):
    """Another machine builds this version now, because this one did not renew its claim for a minute."""


class ServerLibrary:
    """A ``ChangeableLibrary`` on one server."""

    def __init__(
        self,
        client: QdrantClient,
        scratch: Path,
        options: IndexOptions = IndexOptions(),  # noqa: B008 -- frozen
        *,
        prefix: str = "wildtag-",
        beat_s: float = BEAT_S,
    ) -> None:
        """Makes no request. Uses the client, also for the indexes it opens, and does not close it.

        ``scratch``: a local folder for locks and builders' journals, which need not exist yet; the same for every
        process that builds here. ``options``: of the indexes that are built here; ``ef`` and ``oversampling`` of
        those that are opened. ``prefix``: at most 50 characters, otherwise raises ``UnsafeName``.
        ``beat_s``: seconds between two renewals of a claim.
        """
        self._client = client
        self._scratch = scratch
        self._options = options
        self._prefix = safe(prefix)
        if len(prefix) > _PART:
            raise UnsafeName(f"the prefix {prefix} has more than {_PART} characters")
        self._registry = Registry(client, self._prefix, replicas=options.replicas, beat_s=beat_s)

    def find(self, space_id: str, captions_version: str) -> Manifest | None:
        """See ``Library``."""
        record = self._registry.record(safe(space_id), "@".join(split(captions_version)))
        return record.manifest if record and record.state == WHOLE else None

    def manifests(self, space_id: str | None = None) -> list[Manifest]:
        """See ``Library``."""
        wanted = None if space_id is None else safe(space_id)
        found = [
            record.manifest
            for record in self._registry.records()
            if record.manifest and record.state == WHOLE and wanted in {None, record.space_id}
        ]
        return sorted(found, key=lambda m: (datetime.fromisoformat(m.created), m.captions_version))

    def active(self, space_id: str) -> str | None:
        """See ``Library``."""
        alias = self._alias(space_id)
        aliases = ask(self._client.get_aliases).aliases
        collection = next((known.collection_name for known in aliases if known.alias_name == alias), None)
        if collection is None:
            return None
        names = (record.captions_version for record in self._registry.records() if record.collection == collection)
        return next(names, None)

    def open(self, space_id: str, captions_version: str) -> ServerIndex:
        """See ``Library``. Several processes may open it."""
        record, manifest = self._known(space_id, captions_version)
        index = ServerIndex.open(self._client, record.collection, self._options)
        if index.dimension != manifest.dimension or (manifest.count and not index.count()):
            raise IndexMissing(f"the captions in the collection {record.collection} are damaged: build them again")
        return index

    @contextmanager
    def building(
        self, space_id: str, captions_version: str, dimension: int, *, resume: bool = True
    ) -> Iterator[ServerBuilding]:
        """See ``ChangeableLibrary``. Refused while another machine builds, and for a minute after that one died.

        A build may be resumed on another machine than it was started on: captions are there, the journal is not.
        """
        with self._claimed(space_id, captions_version) as claim:
            build = self._begun(claim, space_id, captions_version, dimension, resume=resume, state=BUILDING)
            try:
                yield build
            finally:
                build.index.close()

    def use(self, space_id: str, captions_version: str) -> None:
        """See ``ChangeableLibrary``."""
        record, _ = self._known(space_id, captions_version)
        # replaces an alias of that name atomically
        alias = models.CreateAlias(collection_name=record.collection, alias_name=self._alias(space_id))
        ask(self._client.update_collection_aliases, [models.CreateAliasOperation(create_alias=alias)])

    def unfinished(self) -> list[tuple[str, str]]:
        """See ``ChangeableLibrary``."""
        found = self._registry.records()
        return sorted((one.space_id, one.captions_version) for one in found if one.state == BUILDING)

    def set_thresholds(self, space_id: str, captions_version: str, thresholds: Mapping[str, Any]) -> Manifest:
        """See ``ChangeableLibrary``."""
        with self._claimed(space_id, captions_version):
            record, manifest = self._known(space_id, captions_version)
            made = replace(manifest, thresholds=thresholds)
            self._registry.put(replace(record, manifest=made))
        return made

    def drop(self, space_id: str, captions_version: str) -> None:
        """See ``ChangeableLibrary``. Processes that have it open get ``IndexMissing`` from now on."""
        self._there(space_id, captions_version)
        with self._claimed(space_id, captions_version):
            record = self._there(space_id, captions_version)
            if record.state == WHOLE and self.active(space_id) == captions_version:
                raise VersionActive(
                    f"{captions_version} is the active version; activate another one before you drop it"
                )
            # hide it first, so that no reader sees half of it and no build resumes it
            self._registry.put(replace(record, state=DROPPED, manifest=None))
            self._delete(record.collection)
            self._registry.forget(record)
            shutil.rmtree(self._scratch / self._name(space_id, captions_version), ignore_errors=True)

    def drop_space(self, space_id: str) -> None:
        """See ``ChangeableLibrary``. Processes that have a version open get ``IndexMissing`` from now on."""
        known = [record for record in self._registry.records() if record.space_id == safe(space_id)]
        alias = self._alias(space_id)
        if any(one.alias_name == alias for one in ask(self._client.get_aliases).aliases):
            gone = models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))
            ask(self._client.update_collection_aliases, [gone])
        for record in known:
            with self._claimed(space_id, record.captions_version):
                self._registry.put(replace(record, state=DROPPED, manifest=None))
                self._delete(record.collection)
                self._registry.forget(record)
                shutil.rmtree(self._scratch / self._name(space_id, record.captions_version), ignore_errors=True)

    def size(self, space_id: str, captions_version: str) -> int:
        """See ``ChangeableLibrary``: ``ServerIndex.size``'s estimate."""
        return self.open(space_id, captions_version).size()

    def snapshot(self, space_id: str, captions_version: str, file: Path) -> None:
        """See ``ChangeableLibrary``. Captions taught meanwhile may be included.

        The server's own snapshots are not used: they contain files of one node and one release, and are available
        only from the server's REST port.
        """
        _, manifest = self._known(space_id, captions_version)
        write(file, manifest, self.open(space_id, captions_version))

    def restore(self, file: Path, on_progress: OnProgress = silent) -> Manifest:
        """See ``ChangeableLibrary``."""
        with reading(file, self._scratch) as saved:
            manifest = saved.manifest
            name = manifest.captions_version
            with self._claimed(manifest.space_id, name) as claim:
                begun = self._registry.record(manifest.space_id, name)
                if begun and begun.state == BUILDING:  # only a valid snapshot replaces it
                    with reading(file, self._scratch) as looked_through:
                        for _ in looked_through.pages():
                            pass
                build = self._begun(claim, manifest.space_id, name, manifest.dimension, resume=False, state=RESTORING)
                try:
                    fill(build.index, saved, on_progress)
                    build.finish(manifest)
                except BaseException:
                    with contextlib.suppress(WildtagError):  # if it stays, the next attempt removes it
                        self._delete(build.record.collection)
                        self._registry.forget(build.record)
                    raise
        return manifest

    @contextmanager
    def _claimed(self, space_id: str, captions_version: str) -> Iterator[Claim]:
        """Locks a version against changes, here (at once) and elsewhere (after at most a minute)."""
        with (
            alone(self._scratch / f"{self._name(space_id, captions_version)}.lock", captions_version),
            self._registry.claimed(space_id, captions_version, self._owner()) as claim,
        ):
            yield claim

    def _owner(self) -> str:
        """Identifies this machine and its scratch folder. The local lock is held, so an earlier owner is dead."""
        file = self._scratch / ".owner"
        with contextlib.suppress(FileExistsError), file.open("x") as made:
            made.write(uuid4().hex)
        return f"{file.read_text()}@{socket.gethostname()}"

    def _begun(
        self, claim: Claim, space_id: str, captions_version: str, dimension: int, *, resume: bool, state: str
    ) -> ServerBuilding:
        """Resume an interrupted build, or start a new one."""
        record = self._registry.record(space_id, captions_version)
        if record and record.state == WHOLE:
            raise VersionExists(f"the version {captions_version} already exists")
        name, build = self._name(space_id, captions_version), uuid4().hex
        notes = self._scratch / name
        if resume and record and record.state == BUILDING:
            with contextlib.suppress(IndexMissing):
                index = ServerIndex.open(self._client, record.collection, self._options)
                if index.dimension != dimension:
                    begun = f"the unfinished build of {captions_version} has {index.dimension} dimensions"
                    raise WrongDimension(f"{begun}, not {dimension}")
                return ServerBuilding(index, notes, record, self._registry, claim)
        shutil.rmtree(notes, ignore_errors=True)
        if record:
            self._delete(record.collection)
        # a name that never was: a process that has a dropped version open must not search half of the new one
        collection = f"{name}-{build[:_BUILD]}"
        record = Record(space_id, captions_version, collection, state, build)
        self._registry.put(record)
        index = ServerIndex.create(self._client, collection, dimension, self._options)
        return ServerBuilding(index, notes, record, self._registry, claim)

    def _delete(self, collection: str) -> None:
        with contextlib.suppress(IndexMissing):
            ask(self._client.delete_collection, collection)

    def _there(self, space_id: str, captions_version: str) -> Record:
        """A complete or unfinished version."""
        record = self._registry.record(safe(space_id), "@".join(split(captions_version)))
        return record if record and record.state == BUILDING else self._known(space_id, captions_version)[0]

    def _known(self, space_id: str, captions_version: str) -> tuple[Record, Manifest]:
        record = self._registry.record(safe(space_id), "@".join(split(captions_version)))
        if record is None or record.state != WHOLE or record.manifest is None:
            raise IndexMissing(
                f"there are no captions {captions_version} for the space {space_id} on this Qdrant server"
            )
        return record, record.manifest

    def _name(self, space_id: str, captions_version: str) -> str:
        """What the names of all collections of a version begin with."""
        parts = (safe(space_id), *split(captions_version))
        digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=6).hexdigest()
        return self._prefix + "-".join((*(part[:_PART] for part in parts), digest))

    def _alias(self, space_id: str) -> str:
        # unchanged, for readability, unless it is too long
        known = safe(space_id)
        if len(known) > 2 * _PART:
            known = f"{known[:_PART]}-{hashlib.blake2b(known.encode(), digest_size=6).hexdigest()}"
        return f"{self._prefix}{known}-active"


class ServerBuilding:
    """A ``Building`` in a collection that is not marked as complete."""

    def __init__(self, index: ServerIndex, notes: Path, record: Record, registry: Registry, claim: Claim) -> None:
        """Used by ``ServerLibrary``. Deletes the journal of an earlier build of the version."""
        self.index = index
        self.record = record
        self.folder = notes / record.build
        self.folder.mkdir(parents=True, exist_ok=True)
        self._notes = notes
        self._registry = registry
        self._claim = claim

    def finish(self, manifest: Manifest) -> None:
        """See ``Building``; may be called again after a ``Transient``. Raises ``BuildTakenOver``."""
        self.index.optimize()
        whole = replace(self.record, state=WHOLE, manifest=manifest)
        # already complete if the last call got no answer
        now = self._registry.record(self.record.space_id, self.record.captions_version)
        if now not in {self.record, whole} or not self._claim.renewed():
            raise BuildTakenOver(f"another builder has taken over {manifest.captions_version}")
        self._registry.put(whole)
        self.index.close()
        shutil.rmtree(self._notes, ignore_errors=True)
