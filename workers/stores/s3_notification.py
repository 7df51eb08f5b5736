"""What a bucket tells of its changes: reading that, and adding to it without touching what others put there.

The configuration is handled as the XML that it is. minio-py's own classes would lose what they do not know when they
write it back: entries for EventBridge, a second filter rule of a kind, and ``Prefix`` where AWS spells it so.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5
from typing import Literal
from xml.etree import ElementTree as ET

from workers.stores.s3 import S3Store
from workers.stores.s3_errors import translated

# created: those that bring bytes. s3:ObjectCreated:* has PutTagging in it, and whoever writes tags would hear of it
CREATED = tuple(f"s3:ObjectCreated:{way}" for way in ("Put", "Post", "Copy", "CompleteMultipartUpload"))
REMOVED = "s3:ObjectRemoved:*"
WANTED = (*CREATED, REMOVED)
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

Target = Literal["webhook", "redis"]


@dataclass(frozen=True)
class Entry:
    """Whom a bucket tells of which events, for keys that begin and end so."""

    arn: str
    prefix: str = ""
    suffix: str = ""
    events: tuple[str, ...] = WANTED

    @property
    def missing(self) -> tuple[str, ...]:
        """Which of the events that we need it does not tell of."""
        return tuple(event for event in WANTED if not _covered(event, self.events))


def arn_of(target: Target, name: str, region: str) -> str:
    """The ARN of a MinIO server's target, which its variables end in ``name``."""
    return f"arn:minio:sqs:{region}:{name}:{target}"


def server_environment(
    target: Target, name: str, *, url: str, redis_key: str, queue: bool = True
) -> dict[str, str]:  # fmt: skip
    """What a MinIO server must be started with to have this target. ``$NAME`` is for the reader to fill in.

    ``queue``: keep events in a folder until they are taken, and look into that every three seconds; else send each
    at once, and lose it when nobody is there.
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
    """The configuration as the server says it."""
    with translated(store.asked(bucket)):
        # the request that get_bucket_notification makes, without what it makes of the answer
        answer = store.connection.client._execute("GET", bucket, query_params={"notification": ""})  # noqa: SLF001
        body: bytes = answer.data
        return body


def write(store: S3Store, bucket: str, configuration: bytes) -> None:
    """Replace it. Raises ``BucketRefused`` where the server does not take it."""
    digest = b64encode(md5(configuration, usedforsecurity=False).digest()).decode()
    with translated(store.asked(bucket)):
        store.connection.client._execute(  # noqa: SLF001 -- as above
            "PUT", bucket, body=configuration, headers={"Content-MD5": digest}, query_params={"notification": ""}
        )


def entries(configuration: bytes) -> list[Entry]:
    """All that have an ARN."""
    return [entry for _, entry in _entries(_parsed(configuration))]


def merged(configuration: bytes, wish: Entry) -> bytes | None:
    """The configuration with the wish in it; ``None`` when it is in it already.

    An entry for the same target and the same keys gets the events that it lacks; all others stay as they are.
    """
    root = _parsed(configuration)
    for element, entry in _entries(root):
        if _target(entry.arn) == _target(wish.arn) and (entry.prefix, entry.suffix) == (wish.prefix, wish.suffix):
            if not entry.missing:
                return None
            at = max(i for i, child in enumerate(element) if _name(child) == "Event")
            for event in reversed(entry.missing):
                element.insert(at + 1, _made("Event", event))
            break
    else:
        root.append(_element(wish))
    return ET.tostring(root, default_namespace=NAMESPACE)


def _entries(root: ET.Element) -> Iterator[tuple[ET.Element, Entry]]:
    for element in root:
        said = {_name(child): (child.text or "").strip() for child in element}
        arn = next((said[name] for name in ("Queue", "Topic", "CloudFunction") if name in said), "")
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
    """All of it in S3's namespace, which some servers leave out. Raises ``ParseError`` for anything else."""
    if not configuration.strip():
        return _made("NotificationConfiguration")
    root = ET.fromstring(configuration)  # noqa: S314 -- from the server that is trusted with the images
    if "Notification" not in _name(root):
        raise ET.ParseError(f"a {_name(root)} came instead")
    for element in root.iter():
        element.tag = _qualified(_name(element))
    root.tag = _qualified("NotificationConfiguration")  # some say it as the response that it is
    return root


def _covered(event: str, told: tuple[str, ...]) -> bool:
    if event == REMOVED:
        named = {"s3:ObjectRemoved:Delete", "s3:ObjectRemoved:DeleteMarkerCreated"}
        return REMOVED in told or named <= set(told)
    return event in told or "s3:ObjectCreated:*" in told


def _target(arn: str) -> tuple[str, ...]:
    """What tells targets apart: MinIO leaves the region out of ARNs, or in, as it was started."""
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
