"""The adapters of several partitions replace every method that reads or writes keys of objects."""

from __future__ import annotations

import inspect

import pytest

from workers.dispatch.batch_objects import BatchObjects
from workers.dispatch.interrupted import Interrupted
from workers.dispatch.partitioned_batch_objects import PartitionedBatchObjects
from workers.dispatch.partitioned_interrupted import PartitionedInterrupted
from workers.lifecycle.damaged_records import DamagedRecords
from workers.lifecycle.inbox import Inbox
from workers.lifecycle.ledger import Ledger
from workers.lifecycle.partitioned_inbox import InboxPart, PartitionedInbox
from workers.lifecycle.partitioned_ledger import PartitionedLedger
from workers.lifecycle.partitioned_progress import PartitionedProgress
from workers.lifecycle.partitioned_records import PartitionedDamagedRecords, PartitionedRecords
from workers.lifecycle.partitioned_statements import PartitionedStatements
from workers.lifecycle.partitioned_tag_index import PartitionedTagIndex
from workers.lifecycle.partitioned_versions import PartitionedVersions
from workers.lifecycle.progress import ProgressReader
from workers.lifecycle.record_reader import Records
from workers.lifecycle.record_versions import RecordVersions
from workers.lifecycle.statements import Statements
from workers.lifecycle.tag_index import TagIndex
from workers.segmentation.artifacts import Artifacts
from workers.segmentation.partitioned_artifacts import PartitionedArtifacts
from workers.segmentation.partitioned_queue import PartitionedSegmentQueue
from workers.segmentation.partitioned_requests import PartitionedRequests
from workers.segmentation.queue import SegmentQueue
from workers.segmentation.requests import SegmentationRequests

BASE = {  # read or write what belongs to no object, or call only methods that are replaced
    "Records": {"feed_end", "feed_begin", "feed_page", "feed"},
    "Statements": {"restored", "mark_restored", "journal_has", "journal_position"},
}
ADAPTERS: list[tuple[type, type]] = [
    (Ledger, PartitionedLedger),
    (Records, PartitionedRecords),
    (DamagedRecords, PartitionedDamagedRecords),
    (TagIndex, PartitionedTagIndex),
    (Statements, PartitionedStatements),
    (RecordVersions, PartitionedVersions),
    (ProgressReader, PartitionedProgress),
    (BatchObjects, PartitionedBatchObjects),
    (Interrupted, PartitionedInterrupted),
    (SegmentationRequests, PartitionedRequests),
    (Artifacts, PartitionedArtifacts),
    (Inbox, PartitionedInbox),
    (Inbox, InboxPart),
    (SegmentQueue, PartitionedSegmentQueue),
]


@pytest.mark.parametrize(("one", "all_"), ADAPTERS, ids=lambda it: it.__name__)
def test_no_method_that_uses_redis_is_inherited(one: type, all_: type) -> None:
    """It would read the wrong partition, in silence."""
    inherited = {
        name
        for name, method in inspect.getmembers(all_, inspect.isfunction)
        if not name.startswith("__") and "self._redis" in inspect.getsource(method)
        and method.__qualname__.split(".")[0] != all_.__name__
    }  # fmt: skip
    assert inherited - BASE.get(one.__name__, set()) <= PRIVATE.get(one.__name__, set())


# called only by methods that are replaced
PRIVATE = {
    "Ledger": {"_claim", "_finish_of", "_removed", "_script", "_wanted"},
    "BatchObjects": {"_told_until"},
}
