"""Setting a bucket up to be followed, and looking whether it is: each step said, with what to do where it fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from xml.etree.ElementTree import ParseError

from vectordb.errors import Transient, WildtagError
from workers.diagnostics.doctor import Check
from workers.stores.s3 import S3Store
from workers.stores.s3_errors import BucketForbidden, BucketRefused, translated
from workers.stores.s3_notification import Entry, entries, merged, read, write
from workers.stores.store import ObjectError, ObjectGone

UNLISTED = "removals are not seen and no sweep finds what events have missed while it may not be listed"
PROBED = "wildtag-probe"  # a key that nobody has: to be told that it is missing is to be allowed to read


def set_up(
    store: S3Store, bucket: str, wish: Entry, environment: Mapping[str, str], *, create: bool,
    also: Sequence[Entry] = (),
) -> Iterator[Check]:  # fmt: skip
    """Make the bucket if that is asked for, and have it tell of its changes. Doing it twice does nothing more.

    ``environment``: what the server must be started with to know the targets; empty where those are not MinIO's.
    ``also``: what is wished besides.
    """
    for check in bucket_checks(store, bucket, create=create):
        yield check
        if check.ok is False:
            return
    for one in (wish, *also):
        yield _told(store, bucket, one, environment)


def look(store: S3Store, bucket: str) -> Iterator[Check]:
    """Whether the bucket can be read, and tells of its changes. Changes nothing."""
    for check in bucket_checks(store, bucket, create=False):
        yield check
        if check.ok is False:
            return
    try:
        told = [entry for entry in entries(read(store, bucket)) if not entry.missing]
    except (WildtagError, ParseError) as exc:
        yield Check.remark("notification", f"cannot be read: {exc}")
        return
    if told:
        yield Check.fine("notification", "; ".join(_said(entry) for entry in told))
    else:
        yield Check.remark("notification", "nobody is told of all changes", f"wildtag s3 setup --bucket {bucket}")


def told_of(store: S3Store, bucket: str) -> list[Entry]:
    """The entries that tell of all changes; none where one may not look."""
    with contextlib.suppress(WildtagError, ParseError):
        return [entry for entry in entries(read(store, bucket)) if not entry.missing]
    return []


def bucket_checks(store: S3Store, bucket: str, *, create: bool) -> Iterator[Check]:
    """The server, the bucket, and what one may do in it."""
    endpoint, there = store.connection.options.endpoint, False
    try:
        there = store.exists(bucket)
        made = not there and create
        if made:
            with translated(store.request_context(bucket)):
                store.connection.client.make_bucket(bucket)
        first = next(store.list(bucket), None) if there or made else None
    except BucketRefused as exc:
        yield Check.missing("bucket", str(exc), "choose another name; it may belong to somebody else")
        return
    except BucketForbidden as exc:
        allow, said = ("s3:ListBucket", f"{exc}; {UNLISTED}") if there else ("s3:CreateBucket", str(exc))
        yield Check.missing("bucket", said, f"allow {allow} on arn:aws:s3:::{bucket}, if it is yours")
        return
    except Transient as exc:
        yield Check.missing("server", str(exc), "see WILDTAG_S3_ENDPOINT and what the message names")
        return
    except ObjectError as exc:
        yield Check.missing("bucket", str(exc), "choose another name")
        return
    yield Check.fine("server", f"{endpoint}, as {store.connection.who}")
    if not there and not made:
        yield Check.missing("bucket", f"there is no bucket {bucket}", "wildtag s3 setup --create makes it")
        return
    state = "made" if made else "empty" if first is None else f"may be listed; begins with {first.ref.key}"
    yield Check.fine("bucket", f"{bucket}: {state}")
    yield _readable(store, bucket, PROBED if first is None else first.ref.key)


def _readable(store: S3Store, bucket: str, key: str) -> Check:
    try:
        store.get(bucket, key, 0)
    except ObjectGone:
        pass
    except ObjectError as exc:
        if exc.code != "too-large":
            remedy = f"allow s3:GetObject on arn:aws:s3:::{bucket}/*"
            return Check.missing("objects", f"cannot be read: {exc}", remedy)
    except Transient as exc:
        return Check.missing("objects", str(exc), "see what the message names")
    return Check.fine("objects", "may be read")


def _told(store: S3Store, bucket: str, wish: Entry, environment: Mapping[str, str]) -> Check:
    try:
        wanted = merged(read(store, bucket), wish)
        if wanted is None:
            return Check.fine("notification", f"{_said(wish)}; nothing is to do")
        write(store, bucket, wanted)
        if merged(read(store, bucket), wish) is not None:
            return Check.missing("notification", "the server took it and does not say it", "look into its log")
    except BucketRefused as exc:
        return Check.missing("notification", str(exc), _remedy(exc, wish, environment))
    except Transient as exc:
        remedy = f"see the message; needed are s3:GetBucketNotification and s3:PutBucketNotification for {bucket}"
        return Check.missing("notification", str(exc), remedy)
    except ParseError as exc:
        return Check.missing("notification", f"what is configured is no XML: {exc}", "look into the server's log")
    return Check.fine("notification", f"{_said(wish)}; added")


def _remedy(exc: BucketRefused, wish: Entry, environment: Mapping[str, str]) -> str:
    said = str(exc).lower()
    if "overlap" in said or "ambiguous" in said:
        return "an entry for some of the same keys is there: give the same --prefix and --suffix, or remove it"
    if exc.code in {"NotImplemented", "MethodNotAllowed"}:
        return "this server tells nobody of changes: wildtag reconcile, or its schedule, finds them"
    if environment:
        return (
            f"the server does not know the target {wish.arn} (or has another region): start it anew with the "
            "variables below; `mc admin info` lists the targets that it has"
        )
    return f"does {wish.arn} exist, in the region of the bucket, and does its policy let the bucket send to it?"


def _said(entry: Entry) -> str:
    keys = " and ".join(
        f"{word} with {value!r}" for word, value in (("begin", entry.prefix), ("end", entry.suffix)) if value
    )
    return f"{entry.arn} is told of " + (f"keys that {keys}" if keys else "all keys")
