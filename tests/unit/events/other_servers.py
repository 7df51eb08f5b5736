"""Notifications of servers other than MinIO, and of what carries them, with values of our own.

The shapes are those that the servers' documentation and sources give. Where a maker takes ``fields``, they replace
those of the object.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.unit.events.samples import BUCKET, ETAG, SEQUENCER, access, record

Json = dict[str, Any]
TIME = "2026-03-04T05:06:07.890Z"


def dump(value: object) -> bytes:
    return json.dumps(value).encode()


# -- servers


def rustfs_alpha(name: str = "ObjectCreatedPut", key: str = "", bucket: str = BUCKET, **fields: object) -> bytes:
    """RustFS before its release: lower case with underscores, no colon, and often neither a key nor an ETag."""
    item: Json = {"key": key, "size": None, "etag": None, "content_type": None, "user_metadata": None,
                  "version_id": None, "sequencer": SEQUENCER}  # fmt: skip
    one = {
        "event_version": "2.1", "event_source": "rustfs:s3", "aws_region": "", "event_time": TIME, "event_name": name,
        "user_identity": {"principal_id": ""}, "request_parameters": {}, "response_elements": {},
        "s3": {"schema_version": "1.0", "configuration_id": "Config", "object": item | fields,
               "bucket": {"name": bucket, "owner_identity": {}, "arn": f"arn:rustfs:s3:::{bucket}"}},
        "source": {"host": "", "port": "", "user_agent": ""},
    }  # fmt: skip
    return dump({"event_name": name, "key": f"{bucket}/{key}", "records": [one]})


def ceph(name: str = "ObjectCreated:Put", key: str = "walks/a cat + dog.jpg", **fields: Any) -> Json:
    """Ceph's gateway writes keys as they are, and fields of its own."""
    made = record(name, key, encoded=False, sequencer="F7E6D75DC742D108", **fields)
    made["s3"] |= {
        "configurationId": "n",
        "bucket": made["s3"]["bucket"] | {"arn": f"arn:aws:s3:::{BUCKET}", "id": "1"},
    }
    made["s3"]["object"] |= {"metadata": [], "tags": []}
    return made | {"eventSource": "ceph:s3", "awsRegion": "default", "eventId": "", "opaqueData": "me@example.com"}


def b2(kind: str = "b2:ObjectCreated:Upload", name: str = "walks/a+b.jpg", **fields: object) -> bytes:
    """Backblaze."""
    one = {"accountId": "0", "bucketId": "1", "bucketName": BUCKET, "eventId": "2", "eventTimestamp": 1772600767890,
           "eventType": kind, "eventVersion": 1, "matchedRuleName": "mine", "objectName": name,
           "objectSize": 2048, "objectVersionId": "4_z1"}  # fmt: skip
    return dump({"events": [one | fields]})


def r2(action: str = "PutObject", key: str = "walks/dog.jpg") -> bytes:
    """Cloudflare."""
    return dump({"account": "0", "action": action, "bucket": BUCKET, "eventTime": TIME,
                 "object": {"key": key, "size": 2048, "eTag": ETAG}})  # fmt: skip


def seaweed(kind: str, path: str) -> bytes:
    return dump({"key": path, "event_type": kind, "message": {"new_entry": {"name": "dog.jpg"}}})


# -- envelopes


def sns(message: str | bytes, kind: str = "Notification") -> bytes:
    return dump({
        "Type": kind, "MessageId": "1", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Subject": "Amazon S3 Notification",
        "Message": message if isinstance(message, str) else message.decode(), "Timestamp": TIME,
        "SignatureVersion": "1", "Signature": "x", "SigningCertURL": "https://sns.example/c.pem",
        "SubscribeURL": "https://sns.example/?Action=ConfirmSubscription",
    })  # fmt: skip


def sqs(inside: bytes) -> Json:
    return {"MessageId": "1", "ReceiptHandle": "r", "MD5OfBody": "0", "Body": inside.decode()}


def sqs_of_a_function(*inside: bytes) -> bytes:
    return dump({"Records": [
        {"messageId": "1", "receiptHandle": "r", "body": one.decode(), "attributes": {}, "md5OfBody": "0",
         "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:1:q", "awsRegion": "eu-west-1"}
        for one in inside
    ]})  # fmt: skip


def sns_of_a_function(inside: bytes) -> bytes:
    return dump({"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": "arn:x",
                              "Sns": json.loads(sns(inside))}]})  # fmt: skip


def eventbridge(kind: str = "Object Created", key: str = "walks/a+b %41.jpg", **detail: object) -> bytes:
    item = {"key": key, "size": 2048, "etag": ETAG, "version-id": "v1", "sequencer": SEQUENCER}
    if "Created" not in kind:
        del item["size"], item["etag"]
    return dump({
        "version": "0", "id": "1", "detail-type": kind, "source": "aws.s3", "account": "1", "time": TIME,
        "region": "eu-west-1", "resources": [f"arn:aws:s3:::{BUCKET}"],
        "detail": {"version": "0", "bucket": {"name": BUCKET}, "object": item, "request-id": "r", "requester": "1",
                   "source-ip-address": "198.51.100.4", "reason": "PutObject"} | detail,
    })  # fmt: skip


def cloudevent(data: object, kind: str = "com.amazonaws.s3.ObjectCreated:Put") -> bytes:
    return dump({"specversion": "1.0", "id": "1", "source": "x", "type": kind, "data": data})


def pubsub(data: bytes, **attributes: str) -> bytes:
    """A push of Google Pub/Sub; Storj sends records of S3 by it."""
    message = {"data": base64.b64encode(data).decode(), "messageId": "1", "attributes": attributes}
    return dump({"message": message, "subscription": "projects/p/subscriptions/s"})


AMAZON_TEST: Json = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": TIME, "Bucket": BUCKET,
                     "RequestId": "R", "HostId": "H"}  # fmt: skip

# -- other kinds of stores

GOOGLE_OBJECT: Json = {"kind": "storage#object", "id": "photos/dog.jpg/1", "name": "dog.jpg", "bucket": BUCKET}
AZURE_GRID: list[Json] = [{
    "topic": "/subscriptions/x", "subject": "/blobServices/default/containers/photos/blobs/dog.jpg",
    "eventType": "Microsoft.Storage.BlobCreated", "eventTime": TIME, "id": "1", "dataVersion": "",
    "data": {"api": "PutBlob", "url": "https://x.blob.core.example/photos/dog.jpg"},
}]  # fmt: skip
OSS: Json = {"events": [{"eventName": "ObjectCreated:PutObject", "eventSource": "acs:oss", "eventVersion": "1.0",
                         "oss": {"bucket": {"name": BUCKET}, "object": {"key": "dog.jpg", "size": 1}}}]}  # fmt: skip
COS: Json = {"Records": [{"event": {"eventName": "cos:ObjectCreated:Put"},
                          "cos": {"cosBucket": {"name": BUCKET}, "cosObject": {"key": "/1/photos/d"}}}]}  # fmt: skip
OBS: Json = {"Records": [{"eventName": "ObjectCreated:Put", "eventSource": "OBS",
                          "obs": {"bucket": {"bucket": BUCKET}, "object": {"key": "dog.jpg"}}}]}  # fmt: skip


# -- a body in every envelope


def carried(inside: bytes) -> dict[str, bytes]:
    """A body in every envelope that carries bodies."""
    text = inside.decode()
    return {
        "SNS": sns(inside),
        "SQS": dump(sqs(inside)),
        "SNS in SQS": dump(sqs(sns(inside))),
        "several messages of SQS": dump({"Messages": [sqs(inside)]}),
        "SQS of a function": sqs_of_a_function(inside),
        "SNS in SQS of a function": sqs_of_a_function(sns(inside)),
        "SNS of a function": sns_of_a_function(inside),
        "CloudEvents": cloudevent(json.loads(inside)),
        "CloudEvents, a text": cloudevent(text),
        "Pub/Sub": pubsub(inside),
        "NooBaa": dump({"meta": {"name": "n"}, "notif": json.loads(inside)}),
        "a text": dump(text),
        "a function's address": dump({"version": "2.0", "requestContext": {}, "body": text}),
        "a byte order mark": b"\xef\xbb\xbf" + inside,
    }


def wrapped(inside: bytes) -> dict[str, bytes]:
    """A body with one record in every envelope."""
    one = json.loads(inside)["Records"][0]
    return carried(inside) | {
        "CloudEvents, a record": cloudevent(one),
        "records as a text": dump({"Records": json.dumps([one])}),
        "a record as a text": dump({"Records": [json.dumps(one)]}),
        "one record": dump({"Records": one}),
        "a record": dump(one),
        "a list of records": dump([one]),
        "an entry of the Redis target": access(one),
    }
