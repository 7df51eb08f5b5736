"""Reads and extends a bucket's notification configuration without changing entries of others.

The configuration is processed as XML. minio-py's classes would drop what they do not know when writing it back:
EventBridge entries, a second filter rule of a kind, and ``Prefix`` in AWS's spelling.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import md5
from typing import Literal
from xml.etree import ElementTree as ET

from workers.stores.s3 import S3Store
from workers.stores.s3_errors import translated

# events that bring bytes. s3:ObjectCreated:* would include PutTagging, sent for tags that wildtag writes
CREATED = tuple(f"s3:ObjectCreated:{way}" for way in ("Put", "Post", "Copy", "CompleteMultipartUpload"))
REMOVED = "s3:ObjectRemoved:*"
WANTED = (*CREATED, REMOVED)
# objects that expire. Amazon and Ceph report them only so; MinIO reports them as removed, and refuses this event
EXPIRED = "s3:LifecycleExpiration:*"
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

Target = Literal["webhook", "redis"]


@dataclass(frozen=True)
class Entry:
    """One target of a bucket's notifications, with its events and key filters."""

    arn: str
    prefix: str = ""
    suffix: str = ""
    events: tuple[str, ...] = WANTED

    @property
    def missing(self) -> tuple[str, ...]:
        """The required events that this entry does not include."""
        return tuple(event for event in WANTED if not _covered(event, self.events))

    @property
    def expirations(self) -> bool:
        """Whether this entry includes objects that expire."""
        return _covered(EXPIRED, self.events)

    def with_expirations(self) -> Entry:
        """The same entry, which also includes objects that expire."""
        return self if self.expirations else replace(self, events=(*self.events, EXPIRED))


def arn_of(target: Target, name: str, region: str) -> str:
    """The ARN of a MinIO server's target; ``name`` is the suffix of its environment variables."""
    return f"arn:minio:sqs:{region}:{name}:{target}"


def server_environment(
    target: Target, name: str, *, url: str, redis_key: str, queue: bool = True
) -> dict[str, str]:  # fmt: skip
    """The environment variables that define this target on a MinIO server. The reader replaces ``$NAME``.

    ``queue``: keep events in a folder until they are delivered, and retry every three seconds; otherwise send each at
    once, and lose it if the receiver is unavailable.
    """
    at = f"MINIO_NOTIFY_{target.upper()}"
    common = {f"{at}_QUEUE_DIR_{name}": "/events", f"{at}_QUEUE_LIMIT_{name}": "100000"} if queue else {}
    if target == "webhook":
        own = {f"{at}_ENDPOINT_{name}": url, f"{at}_AUTH_TOKEN_{name}": "$WILDTAG_WEBHOOK_TOKEN"}
    else:
        own = {
            f"{at}_ADDRESS_{name}": "$REDIS_HOST:6379", f"{at}_PASSWORD_{name}": "$REDIS_PASSWORD",
            f"{at}_KEY_{name}": redis_key, f"{at}_FORMAT_{name}": "access",
        }  # fmt: skip
    return {f"{at}_ENABLE_{name}": "on", **own, **common, "MINIO_API_SYNC_EVENTS": "on"}


def read(store: S3Store, bucket: str) -> bytes:
    """The current configuration of the bucket."""
    with translated(store.request_context(bucket)):
        # the same request as get_bucket_notification, without its parsing
        answer = store.connection.client._execute("GET", bucket, query_params={"notification": ""})  # noqa: SLF001
        body: bytes = answer.data
        return body


def write(store: S3Store, bucket: str, configuration: bytes) -> None:
    """Replace the configuration. Raises ``BucketRefused`` if the server rejects it."""
    digest = b64encode(md5(configuration, usedforsecurity=False).digest()).decode()
    with translated(store.request_context(bucket)):
        store.connection.client._execute(  # noqa: SLF001 -- as above
            "PUT", bucket, body=configuration, headers={"Content-MD5": digest}, query_params={"notification": ""}
        )


def entries(configuration: bytes) -> list[Entry]:
    """All entries that have an ARN."""
    return [entry for _, entry in _entries(_parsed(configuration))]


def merged(configuration: bytes, wish: Entry) -> bytes | None:
    """The configuration with the wanted entry added; ``None`` if it already includes it.

    An entry for the same target and keys gets the missing events; all others stay unchanged.
    """
    root = _parsed(configuration)
    for element, entry in _entries(root):
        if _target(entry.arn) == _target(wish.arn) and (entry.prefix, entry.suffix) == (wish.prefix, wish.suffix):
            missing = [event for event in wish.events if not _covered(event, entry.events)]
            if not missing:
                return None
            at = max((i for i, child in enumerate(element) if _name(child) == "Event"), default=len(element) - 1)
            for event in reversed(missing):
                element.insert(at + 1, _made("Event", event))
            break
    else:
        root.append(_element(wish))
    return ET.tostring(root, default_namespace=NAMESPACE)


def _entries(root: ET.Element) -> Iterator[tuple[ET.Element, Entry]]:
    for element in root:
        values = {_name(child): (child.text or "").strip() for child in element}
        arn = next((values[name] for name in ("Queue", "Topic", "CloudFunction") if name in values), "")
        if not arn:
            continue
        events = tuple((child.text or "").strip() for child in element if _name(child) == "Event")
        rules = {}
        for rule in element.iter(_qualified("FilterRule")):
            parts = {_name(part): part.text or "" for part in rule}
            rules[parts.get("Name", "").lower()] = parts.get("Value", "")
        yield element, Entry(arn, rules.get("prefix", ""), rules.get("suffix", ""), events)


def _element(wish: Entry) -> ET.Element:
    kind = {"sns": "Topic", "lambda": "CloudFunction"}.get(wish.arn.split(":")[2], "Queue")
    element = _made(f"{kind}Configuration")
    element.append(_made(kind, wish.arn))
    element.extend(_made("Event", event) for event in wish.events)
    if wish.prefix or wish.suffix:
        key = _made("S3Key")
        for name, value in (("prefix", wish.prefix), ("suffix", wish.suffix)):
            if value:
                rule = _made("FilterRule")
                rule.extend([_made("Name", name), _made("Value", value)])
                key.append(rule)
        element.append(_made("Filter"))
        element[-1].append(key)
    return element


def _parsed(configuration: bytes) -> ET.Element:
    """Parse it and add S3's namespace, which some servers omit. Raises ``ParseError`` for other documents."""
    if not configuration.strip():
        return _made("NotificationConfiguration")
    root = ET.fromstring(configuration)  # noqa: S314 -- from the server that is trusted with the images
    if "Notification" not in _name(root):
        raise ET.ParseError(f"expected a notification configuration, got {_name(root)}")
    for element in root.iter():
        element.tag = _qualified(_name(element))
    root.tag = _qualified("NotificationConfiguration")  # some servers use the name of the response
    return root


def _covered(event: str, events: tuple[str, ...]) -> bool:
    if event in {REMOVED, EXPIRED}:
        group = event.removesuffix("*")
        return event in events or {f"{group}Delete", f"{group}DeleteMarkerCreated"} <= set(events)
    return event in events or "s3:ObjectCreated:*" in events


def _target(arn: str) -> tuple[str, ...]:
    """The parts that identify a target. MinIO's ARNs have a region or not, depending on its configuration."""
    parts = arn.split(":")
    return (*parts[:3], *parts[4:]) if parts[1:2] == ["minio"] else tuple(parts)


def _made(name: str, text: str | None = None) -> ET.Element:
    element = ET.Element(_qualified(name))
    element.text = text
    return element


def _qualified(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
