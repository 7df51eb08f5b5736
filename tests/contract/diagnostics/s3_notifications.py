"""ARNs and notification configurations, for the tests of set-up."""

from __future__ import annotations

from workers.stores.s3_notification import arn_of

ARN = arn_of("webhook", "WILDTAG", "us-east-1")


THEIRS = "arn:aws:sqs:us-east-1:123456789012:theirs"


def configuration(*inside: str, namespace: bool = True) -> bytes:
    xmlns = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"' if namespace else ""
    return f"<NotificationConfiguration{xmlns}>{''.join(inside)}</NotificationConfiguration>".encode()


QUEUE = f"""<QueueConfiguration><Id>1</Id><Queue>{THEIRS}</Queue><Event>s3:ObjectCreated:*</Event><Filter><S3Key>
<FilterRule><Name>Prefix</Name><Value>logs/</Value></FilterRule></S3Key></Filter></QueueConfiguration>"""
