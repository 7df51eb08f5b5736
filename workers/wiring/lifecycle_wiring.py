"""The adapters of what is in Redis: the life of an object, and what is to be tagged again."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from functools import cached_property

from workers.captions.skipped import SkippedCaptions
from workers.dispatch.batch_objects import BatchObjects
from workers.dispatch.interrupted import Interrupted
from workers.dispatch.partitioned_batch_objects import PartitionedBatchObjects
from workers.dispatch.partitioned_interrupted import PartitionedInterrupted
from workers.images.backlog import Backlog
from workers.images.follow_jobs import FollowJobs
from workers.lifecycle.held_events import HeldEvents
from workers.lifecycle.inbox import EventInbox, Inbox, LowPriorityInbox
from workers.lifecycle.inbox_room import InboxRoom
from workers.lifecycle.inbox_state import InboxReader
from workers.lifecycle.ledger import Ledger
from workers.lifecycle.ledger_counts import LedgerReader, PartitionedLedgerReader
from workers.lifecycle.partitioned_inbox import PartitionedInbox
from workers.lifecycle.partitioned_ledger import PartitionedLedger
from workers.lifecycle.partitioned_progress import PartitionedProgress
from workers.lifecycle.partitioned_records import PartitionedRecords
from workers.lifecycle.partitioned_statements import PartitionedStatements
from workers.lifecycle.partitioned_versions import PartitionedVersions
from workers.lifecycle.progress import ProgressReader
from workers.lifecycle.record_reader import Records
from workers.lifecycle.record_versions import RecordVersions
from workers.lifecycle.retag_marks import RetagMarks
from workers.lifecycle.statements import Statements
from workers.redis.connection import Client, connect
from workers.redis.data_loss import DataLoss, Refill
from workers.redis.drain import Drain
from workers.redis.encoders import Encoders
from workers.redis.keys import Keys
from workers.redis.layout import Layout
from workers.redis.partition_faults import PartitionFaults
from workers.redis.partition_loss import PartitionLoss
from workers.redis.partitions import Partitions
from workers.redis.servers import RedisServers
from workers.settings.cluster_urls import names_cluster
from workers.settings.encoder_in_use import NEXT
from workers.settings.settings import Settings
from workers.wiring.clock import clock_of

SERVER_PATIENCE_S = 5.0  # for a server to say how it is
PARTITION_PATIENCE_S = 10.0  # for an answer of a partition: work on the others waits meanwhile, once


class LifecycleWiring:
    """A part of ``Wiring``."""

    def __init__(
        self, settings: Settings, clock: Callable[[], float] | None = None, patience_s: float | None = None
    ) -> None:
        """``clock``: Unix seconds; that of Redis when not given, since hosts' clocks may be wrong.

        ``patience_s``: give up on Redis after so many seconds and one attempt, for who would rather know than wait.
        """
        self.settings = settings
        self._patience_s = patience_s
        self.clock = clock or clock_of(settings.redis_url, settings.key_prefix)
        self.file_clock = clock or time.time  # files have the time of this host, or that of its file server

    @cached_property
    def host(self) -> str:
        """The name of this machine."""
        return socket.gethostname()

    @cached_property
    def process_name(self) -> str:
        """A name of this process that is unique among those sharing a Redis."""
        return f"{self.host}-{os.getpid()}"

    @cached_property
    def service(self) -> str:
        """The same, of the process that all processes of a service are forked from; they are given it."""
        return self.process_name

    @cached_property
    def redis(self) -> Client:
        if self._patience_s is not None:
            return connect(self.settings.redis_url, self.settings.key_prefix, patience_s=self._patience_s, tries=1)
        return connect(self.settings.redis_url, self.settings.key_prefix)

    @cached_property
    def keys(self) -> Keys:
        return Keys(self.settings.key_prefix)

    @cached_property
    def partitions(self) -> Partitions:
        """Over which the keys of objects are spread."""
        return Partitions(self.keys, self.settings.partitions)

    @cached_property
    def partition_clients(self) -> tuple[Client, ...]:
        """A client for each partition. Without a cluster it is the same one."""
        if not self.partitioned or not names_cluster(self.settings.redis_url):
            return (self.redis,) * self.partitions.count
        patience, tries = (PARTITION_PATIENCE_S, 3) if self._patience_s is None else (self._patience_s, 1)
        return tuple(
            connect(self.settings.redis_url, keys.prefix, patience_s=patience, tries=tries)
            for keys in self.partitions.all
        )

    @cached_property
    def layout(self) -> Layout:
        """The layout of the keys. Call ``require`` before any other key is read or written."""
        return Layout(self.redis, self.keys, self.settings.partitions, self.clock)

    @cached_property
    def drain(self) -> Drain:
        """Whether nothing is handed out to workers."""
        return Drain(self.redis, self.keys, self.clock)

    @cached_property
    def encoders(self) -> Encoders:
        """Which encoder is in use, and which one prepares."""
        return Encoders(self.redis, self.keys, self.clock)

    @cached_property
    def data_loss(self) -> DataLoss:
        """Notices when Redis loses all keys while this process runs."""
        return DataLoss(self.redis, self.keys, self.layout, self.partition_loss)

    @cached_property
    def partition_loss(self) -> PartitionLoss | None:
        """Notices when a partition does, if there are several."""
        if not self.partitioned:
            return None
        return PartitionLoss(
            self.redis, self.partitions, self.partition_clients, self.partition_faults, self.settings.bucket,
            self.clock,
        )  # fmt: skip

    @cached_property
    def partition_faults(self) -> PartitionFaults:
        """Which partitions are away; here none is known to be."""
        return PartitionFaults(self.partitions.count)

    @cached_property
    def refill(self) -> Refill:
        """Whether records are made again after that."""
        if not self.partitioned:
            return Refill(self.redis, self.keys, self.clock)
        streams = [(client, keys.inbox) for client, keys in self._of_partitions]
        return Refill(self.redis, self.keys, self.clock, [*streams, (self.redis, self.keys.inbox)])

    @property
    def prepares(self) -> bool:
        """Whether these are the adapters of an encoder that prepares, beside those of the one in use."""
        return self.settings.key_prefix.endswith(NEXT)

    @property
    def partitioned(self) -> bool:
        """Whether there are several partitions, so that the adapters of objects are partitioned ones."""
        return self.partitions.count > 1

    @cached_property
    def ledger(self) -> Ledger:
        if self.partitioned:
            return PartitionedLedger(
                self.partitions, self.redis, self.partition_clients, self.settings.feed_length, self.partition_faults
            )
        return Ledger(self.redis, self.keys, self.settings.feed_length)

    @cached_property
    def skipped_captions(self) -> SkippedCaptions:
        return SkippedCaptions(self.redis, self.keys)

    @cached_property
    def statements(self) -> Statements:
        if self.partitioned:
            return PartitionedStatements(self.partitions, self.redis, self.partition_clients)
        return Statements(self.redis, self.keys)

    @cached_property
    def records(self) -> Records:
        if self.partitioned:
            return PartitionedRecords(self.partitions, self.redis, self.partition_clients)
        return Records(self.redis, self.keys)

    @cached_property
    def progress(self) -> ProgressReader:
        if self.partitioned:
            return PartitionedProgress(self.partitions, self.redis, self.partition_clients)
        return ProgressReader(self.redis, self.keys)

    @cached_property
    def batch_objects(self) -> BatchObjects | None:
        """The objects of batches, if there are several partitions."""
        if self.partitioned:
            return PartitionedBatchObjects(self.partitions, self.redis, self.partition_clients)
        return None

    @cached_property
    def interrupted(self) -> Interrupted:
        """Objects whose tagging was interrupted by a hold."""
        if self.partitioned:
            return PartitionedInterrupted(self.partitions, self.partition_clients)
        return Interrupted(self.redis, self.keys)

    def record_versions(self, space_id: str) -> RecordVersions:
        """The versions that are tagged in a vector space."""
        if self.partitioned:
            return PartitionedVersions(self.partitions, self.redis, self.partition_clients, space_id)
        return RecordVersions(self.redis, self.keys, space_id)

    @cached_property
    def inbox(self) -> EventInbox:
        alone = Inbox(self.redis, self.keys.inbox, RetagMarks(self.redis, self.keys))
        if not self.partitioned:
            return alone
        inboxes = [Inbox(client, keys.inbox, RetagMarks(client, keys)) for client, keys in self._of_partitions]
        return PartitionedInbox(self.partitions, inboxes, alone, self.partition_faults)

    @cached_property
    def inbox_room(self) -> InboxRoom:
        """Whether event sources may store more events."""
        return InboxRoom(self.inbox.length, self.settings.inbox_max)

    @cached_property
    def held_events(self) -> tuple[HeldEvents, ...]:
        """Events that wait for their partition, if there are several."""
        inboxes = ((self.inbox, self.keys.inbox), (self.low_priority_inbox, self.keys.low_priority_inbox))
        return tuple(
            HeldEvents(self.redis, key, inbox, self.partitions, self.partition_faults)
            for inbox, key in inboxes
            if isinstance(inbox, PartitionedInbox)
        )

    @cached_property
    def low_priority_inbox(self) -> EventInbox:
        """Objects to tag again when no new ones wait."""
        if not self.partitioned:
            return LowPriorityInbox(self.redis, self.keys)
        inboxes = [LowPriorityInbox(client, keys) for client, keys in self._of_partitions]
        held = Inbox(self.redis, self.keys.low_priority_inbox)
        return PartitionedInbox(self.partitions, inboxes, held, self.partition_faults)

    @cached_property
    def ledger_reader(self) -> LedgerReader:
        """What the ledger has counted, and what is in it."""
        if self.partitioned:
            return PartitionedLedgerReader(self.partitions, self.partition_clients)
        return LedgerReader(self.redis, self.keys)

    @cached_property
    def inbox_readers(self) -> tuple[InboxReader, InboxReader]:
        """The lengths and ages of the normal and of the low-priority inbox."""
        parts = list(self._of_partitions)
        if self.partitioned:  # events that wait for their partition
            parts.append((self.redis, self.keys))
        return (
            InboxReader([(client, keys.inbox) for client, keys in parts]),
            InboxReader([(client, keys.low_priority_inbox) for client, keys in parts]),
        )

    @cached_property
    def redis_servers(self) -> RedisServers:
        """The servers that have keys, on connections of their own, whose patience is short."""
        prefixes = [self.keys.prefix]
        if self.partitioned and names_cluster(self.settings.redis_url):
            prefixes += [keys.prefix for keys in self.partitions.all]
        return RedisServers(
            [connect(self.settings.redis_url, prefix, patience_s=SERVER_PATIENCE_S, tries=1) for prefix in prefixes],
            self.keys,
        )

    @property
    def _of_partitions(self) -> Iterator[tuple[Client, Keys]]:
        """The client and the keys of each partition."""
        return zip(self.partition_clients, self.partitions.all, strict=True)

    @cached_property
    def backlog(self) -> Backlog:
        """Objects that wait for a place in it."""
        return Backlog(self.redis, self.keys, self.low_priority_inbox)

    @cached_property
    def follow_jobs(self) -> FollowJobs:
        """Jobs that seek the images that captions concern."""
        return FollowJobs(self.redis, self.keys, self.clock)
