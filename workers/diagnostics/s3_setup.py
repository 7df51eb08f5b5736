"""Enable event notifications of a bucket, and check a bucket. Each step is a check with a remedy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from xml.etree.ElementTree import ParseError

from vectordb.errors import Transient, WildtagError
from workers.diagnostics.check import Check
from workers.stores.s3 import S3Store
from workers.stores.s3_errors import BucketForbidden, BucketRefused, translated
from workers.stores.s3_notification import EXPIRED, Entry, entries, merged, read, write
from workers.stores.store import ObjectError, ObjectGone

UNLISTED = "without permission to list the bucket, removals and missed events are not detected"
PROBED = "wildtag-probe"  # a key that does not exist: "not found" shows that reading is allowed


def set_up(
    store: S3Store, bucket: str, entry: Entry, environment: Mapping[str, str], *, create: bool,
    also: Sequence[Entry] = (),
) -> Iterator[Check]:  # fmt: skip
    """Enable event notifications, and first create the bucket with ``create``. Idempotent.

    ``environment``: variables that define the targets of a MinIO server; empty for other servers.
    ``also``: further entries.
    """
    for check in bucket_checks(store, bucket, create=create):
        yield check
        if check.ok is False:
            return
    for one in (entry, *also):
        check = _enable(store, bucket, one, environment)
        yield check
        if check.ok:
            yield _add_expirations(store, bucket, one)


def inspect_bucket(store: S3Store, bucket: str) -> Iterator[Check]:
    """Check whether the bucket can be read and sends notifications. Changes nothing."""
    for check in bucket_checks(store, bucket, create=False):
        yield check
        if check.ok is False:
            return
    try:
        notifying = [entry for entry in entries(read(store, bucket)) if not entry.missing]
    except (WildtagError, ParseError) as exc:
        yield Check.note("notification", f"the configuration cannot be read: {exc}")
        return
    if notifying:
        yield Check.passed("notification", "; ".join(_description(entry) for entry in notifying))
    else:
        detail = "the bucket does not send notifications of all changes"
        yield Check.note("notification", detail, f"to enable them, run: wildtag s3 setup --bucket {bucket}")


def notification_entries(store: S3Store, bucket: str) -> list[Entry]:
    """The entries that cover all changes; none if reading the configuration is not allowed."""
    with contextlib.suppress(WildtagError, ParseError):
        return [entry for entry in entries(read(store, bucket)) if not entry.missing]
    return []


def bucket_checks(store: S3Store, bucket: str, *, create: bool) -> Iterator[Check]:
    """Check the server, the bucket, and the permissions in it."""
    endpoint, there = store.connection.options.endpoint, False
    try:
        there = store.exists(bucket)
        made = not there and create
        if made:
            with translated(store.request_context(bucket)):
                store.connection.client.make_bucket(bucket)
        first = next(store.list(bucket), None) if there or made else None
    except BucketRefused as exc:
        yield Check.failed("bucket", str(exc), "choose another name; the bucket may belong to another account")
        return
    except BucketForbidden as exc:
        allow, detail = ("s3:ListBucket", f"{exc}; {UNLISTED}") if there else ("s3:CreateBucket", str(exc))
        yield Check.failed("bucket", detail, f"allow {allow} on arn:aws:s3:::{bucket}")
        return
    except Transient as exc:
        yield Check.failed("server", str(exc), "check WILDTAG_S3_ENDPOINT and that the server is running")
        return
    except ObjectError as exc:
        yield Check.failed("bucket", str(exc), "choose another name")
        return
    yield Check.passed("server", f"{endpoint}, as {store.connection.who}")
    if not there and not made:
        yield Check.failed("bucket", f"there is no bucket {bucket}", "to create it, run: wildtag s3 setup --create")
        return
    state = "created" if made else "empty" if first is None else f"can be listed; first key: {first.ref.key}"
    yield Check.passed("bucket", f"{bucket}: {state}")
    yield _readable(store, bucket, PROBED if first is None else first.ref.key)


def _readable(store: S3Store, bucket: str, key: str) -> Check:
    try:
        store.get(bucket, key, 0)
    except ObjectGone:
        pass
    except ObjectError as exc:
        if exc.code != "too-large":
            remedy = f"allow s3:GetObject on arn:aws:s3:::{bucket}/*"
            return Check.failed("objects", f"the configuration cannot be read: {exc}", remedy)
    except Transient as exc:
        return Check.failed("objects", str(exc), "check that the server is running, and its log")
    return Check.passed("objects", "can be read")


def _enable(store: S3Store, bucket: str, entry: Entry, environment: Mapping[str, str]) -> Check:
    try:
        done = _added(store, bucket, entry)
    except BucketRefused as exc:
        return Check.failed("notification", str(exc), _remedy(exc, entry, environment))
    except Transient as exc:
        remedy = f"allow s3:GetBucketNotification and s3:PutBucketNotification on arn:aws:s3:::{bucket}"
        return Check.failed("notification", str(exc), remedy)
    except ParseError as exc:
        return Check.failed("notification", f"the configuration is not valid XML: {exc}", "see the log of the server")
    if done is None:
        detail = "the server accepted the entry but does not list it"
        return Check.failed("notification", detail, "see the log of the server")
    return Check.passed("notification", f"{_description(entry)}; {done}")


def _add_expirations(store: S3Store, bucket: str, entry: Entry) -> Check:
    """Have the server also report objects that expire. Many do not know these events: then the rest stays."""
    try:
        done = _added(store, bucket, entry.with_expirations())
        why = None if done is not None else f"the server accepted {EXPIRED} and does not list it"
    except (WildtagError, ParseError) as exc:
        why = f"the server does not take {EXPIRED} ({exc})"
    if why is None:
        return Check.passed("expirations", f"the server reports objects that expire; {done}")
    return Check.note("expirations", f"{why}: it reports objects that expire as removed, or the sweep finds them")


def _added(store: S3Store, bucket: str, entry: Entry) -> str | None:
    """Whether the entry was ``added`` or is there already; ``None`` if the server took it and does not list it."""
    wanted = merged(read(store, bucket), entry)
    if wanted is None:
        return "no change needed"
    write(store, bucket, wanted)
    return "added" if merged(read(store, bucket), entry) is None else None


def _remedy(exc: BucketRefused, entry: Entry, environment: Mapping[str, str]) -> str:
    detail = str(exc).lower()
    if "overlap" in detail or "ambiguous" in detail:
        return "an existing entry overlaps: pass the same --prefix and --suffix as that entry, or remove it"
    if exc.code in {"NotImplemented", "MethodNotAllowed"}:
        return "this server does not support notifications; `wildtag reconcile` and the periodic sweep find changes"
    if environment:
        return (
            f"the server does not know the target {entry.arn}, or its region differs: restart it with the variables "
            "below; `mc admin info` lists its targets"
        )
    return (
        f"check that {entry.arn} exists in the region of the bucket, and its policy allows the bucket to send to it"
    )


def _description(entry: Entry) -> str:
    keys = " and ".join(
        f"{word} with {value!r}" for word, value in (("begin", entry.prefix), ("end", entry.suffix)) if value
    )
    expiring = ", also of objects that expire" if entry.expirations else ""
    return f"{entry.arn} receives events of " + (f"keys that {keys}" if keys else "all keys") + expiring
