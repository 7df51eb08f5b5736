"""The topics under which ``wildtag --help`` lists the commands, in its order."""

from __future__ import annotations

RUN = "Run"
TAG = "Tag images"
CAPTIONS = "Captions"
BUCKET = "Bucket"
SEGMENT = "Segment"
OPERATE = "Operate"

PANELS = (RUN, TAG, CAPTIONS, BUCKET, SEGMENT, OPERATE)
