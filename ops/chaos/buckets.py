"""The bucket of a run: a folder, one of moto, or one of a real S3 server, with what stands between it and wildtag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from urllib3.exceptions import HTTPError

from ops.bench.made_up_minio import Server, made_up_minio
from ops.bench.moto_server import moto
from ops.chaos.shelves import BucketShelf, FolderShelf, Shelf
from ops.chaos.store_proxy import StoreProxy, store_proxy
from vectordb.errors import Permanent
from workers.settings.settings import Settings
from workers.stores.s3_connection import S3Connection
from workers.wiring.stores import s3_options

FOLDER, MOTO = "folder", "s3"
NAME = "inbox"
"""Of the bucket, unless an address names it."""


@dataclass(frozen=True)
class Bucket:
    """``proxy``: in front of the S3 server; ``None``: it is a folder. ``settings``: further variables of the stack.

    ``events``: sends the notifications of what is written to ``shelf``.
    """

    name: str
    shelf: Shelf
    proxy: StoreProxy | None = None
    events: Server | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


def parsed(where: str) -> tuple[str, str]:
    """The URL of a server and the name of a bucket, from ``http://HOST:PORT/BUCKET``. Raises ``ValueError``."""
    parts = urlsplit(where)
    name = parts.path.strip("/")
    if parts.scheme not in {"http", "https"} or not parts.netloc or not name or "/" in name or parts.query:
        raise ValueError(f"{where!r} is neither {FOLDER}, {MOTO}, nor http://HOST:PORT/BUCKET")
    return f"{parts.scheme}://{parts.netloc}", name


@contextmanager
def bucket_at(where: str, home: Path) -> Iterator[Bucket]:
    """The bucket until the end of the block. ``where``: ``folder``, ``s3`` (moto), or an address (``parsed``).

    Raises ``Permanent`` for a bucket that has objects: they would be lost at the end.
    """
    with ExitStack() as stack:
        if where == FOLDER:
            yield Bucket(NAME, FolderShelf(home / "inbox"))
        elif where == MOTO:
            server = stack.enter_context(moto())
            events = stack.enter_context(made_up_minio(server, NAME))
            client = Minio(urlsplit(events.url).netloc, "a", "b", secure=False, region="us-east-1")
            client.make_bucket(NAME)
            proxy = stack.enter_context(store_proxy(events.url))
            keys = {"WILDTAG_S3_ACCESS_KEY": "a", "WILDTAG_S3_SECRET_KEY": "b"}
            yield Bucket(NAME, BucketShelf(client, NAME), proxy, events, keys)
        else:
            yield stack.enter_context(_on_server(*parsed(where)))


@contextmanager
def _on_server(url: str, name: str) -> Iterator[Bucket]:
    """A bucket of a server that runs already. The credentials are those of wildtag's settings."""
    ca_file = Settings().s3_ca_file
    with ExitStack() as stack:
        stack.enter_context(_emptied(_client(url, name), name, url))
        # who puts objects does not meet the faults, and tells of it; wildtag hears from the server itself as well
        plain = stack.enter_context(store_proxy(url, ca_file)).url
        events = stack.enter_context(made_up_minio(plain, name))
        shelf = BucketShelf(_client(events.url, name), name)
        yield Bucket(name, shelf, stack.enter_context(store_proxy(url, ca_file)), events)


def _client(url: str, name: str) -> Minio:
    settings = Settings().model_copy(update={"s3_endpoint": url, "s3_public_endpoint": None, "bucket": name})
    return S3Connection(s3_options(settings)).client


@contextmanager
def _emptied(client: Minio, name: str, url: str) -> Iterator[None]:
    """The bucket, empty; it is created, and removed at last, if it is not there. Otherwise it is emptied at last."""
    try:
        created = not client.bucket_exists(name)
        if created:
            client.make_bucket(name)
        elif next(iter(client.list_objects(name, recursive=True)), None) is not None:
            raise Permanent(f"the bucket {name} of {url} has objects, which a run would remove: name another one")
    except (S3Error, OSError, HTTPError) as exc:
        raise Permanent(f"the bucket {name} of {url} cannot be used: {exc}") from exc
    try:
        yield
    finally:
        _empty(client, name)
        if created:
            client.remove_bucket(name)


def _empty(client: Minio, name: str) -> None:
    """Remove all objects, their older versions included."""
    try:
        found = list(client.list_objects(name, recursive=True, include_version=True))
    except S3Error:  # a server without versions
        found = list(client.list_objects(name, recursive=True))
    gone: list[Any] = [DeleteObject(one.object_name or "", one.version_id) for one in found]
    for error in client.remove_objects(name, gone):
        raise Permanent(f"the bucket {name} cannot be emptied: {error.name}: {error.message}")
