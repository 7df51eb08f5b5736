"""The Redis layout: every key that wildtag writes. Nothing else may write them.

``P`` is the key prefix of the settings, ``OID`` is ``bucket/key``. All keys are on one server, or on the node of a
cluster that serves the slot of the prefix. ``P absent`` never exists (``workers.redis.slot_client``). Scripts are
given their keys, apart from those of labels and of numbers.

With several partitions (``workers.redis.partitions``) the keys of objects are under the prefix of their partition:
``P`` with ``:0``, ``:1`` … before the closing brace. There are ``absent``, ``data-id``, ``inbox``,
``inbox:low-priority`` and its ``once``, ``retag-marks``, ``forgotten``, ``segmentation-queue``, its ``forced`` and
``origins``, ``interrupted``, ``ledger`` and what begins with it, ``entry``, ``segmenting``, ``segmentation-request``,
``artifacts``, ``record``, ``object-number``, ``numbered``, ``records``, ``objects``, ``damaged``, ``tag``, ``tags``,
``tag-spellings``, ``feed``, ``statements``, ``stated``, ``statements-revision``, ``statements-time``,
``statements-unwritten``, ``statements-taken-back``, ``statements-unfollowed``; of a batch ``open``, ``counts``,
``failed``, ``gone``.
All others are under ``P``, with a feed of all objects, and inboxes of what waits for a partition.

A change of this layout needs a new version and the steps that lead to it (``workers.redis.migration``).

===============================  ==========  =======================================================================
key                              type        holds
===============================  ==========  =======================================================================
``P layout-version``             string      the version of this layout (``workers.redis.layout``), or
                                             ``restoring BACKUP FILES``: no process starts with keys of which only
                                             so many files of a backup are there
``P partitions``                 string      the number of partitions (``workers.redis.partitions``); without it: 1
``P data-id``                    string      a random id of the data of this Redis: another one shows a process that
                                             all keys were lost (``workers.redis.data_loss``)
``P partition-data-ids``         hash        partition → the ``data-id`` that it was seen with
                                             (``workers.redis.partition_loss``)
``P refill``                     hash        present while records are made again in a Redis that was empty: ``since``
                                             (Unix seconds), ``swept``: the end of the inbox when a comparison of the
                                             bucket had ended
``P loss``                       string      the last loss of all keys: when, and what cannot be made again (JSON),
                                             with a lifetime
``P inbox``                      stream      object events that no dispatcher has handled yet; field ``event``:
                                             msgpack
``P inbox:low-priority``         stream      the same for objects that are tagged again when the inbox is empty
``P inbox:low-priority:once``    hash        OID → id of its forced event in it that no dispatcher has read: no second
                                             one is added, and a round that begins removes it
``P retag-marks``                hash        OID → its event in an inbox, of objects to be tagged again: ``n`` or
                                             ``l`` and the id of the entry (``workers.lifecycle.retag_marks``)
``P forgotten:OID``              string      present for a while once an object was deleted on request: if it seems
                                             to be there, it is looked for in the bucket
``P backlog``                    list        pages of objects that wait for a place in the low-priority inbox, oldest
                                             first (``workers.images.backlog``)
``P backlog:objects``            string      the number of these objects
``P follow:ID``                  hash        images are sought that captions concern (``workers.images.follow_jobs``):
                                             ``captions`` (vectors), ``captions_version``, ``dry``, ``after`` (last id
                                             that was compared), ``images``, ``counts``, ``done``, with a lifetime
``P follows``                    sorted set  ID of such a job that is not done → when it goes on, if it does not go on
                                             by itself (Unix seconds)
``P segmentation-queue``         sorted set  OID → time since which the object has waited for segmentation (Unix
                                             seconds)
``P segmentation-queue:forced``  set         OIDs on that queue that are processed again even if their record is up
                                             to date
``P segmentation-queue:origins`` hash        OID on that queue → ETag, NUL, what led to it (msgpack
                                             ``tasks.message_parts.Origin``); none without a request or a trace
``P reconcile:BUCKET``           hash        progress of the comparison with a bucket: ``prefix``, ``after`` (last
                                             key compared)
``P sweep-requests``             hash        prefix of keys (empty: the whole bucket) → number of events that reported
                                             a change there without a readable key
                                             (``workers.dispatch.requested_sweeps``)
``P missing:PASS``               sorted set  keys that a comparison with a bucket has found missing, all with score 0,
                                             with a lifetime
``P holds``                      set         buckets whose removals are held
``P hold:BUCKET``                hash        why (``workers.dispatch.removals``): ``missing``, ``known``, ``reason``,
                                             ``since``
``P interrupted:BUCKET``         sorted set  OIDs that were to be tagged again when their removal was held, all with
                                             score 0 (``workers.dispatch.interrupted``)
``P mount:BUCKET``               string      identity of the folder that last held objects of the bucket
                                             (``workers.stores.folder_mount``)
``P removals:BUCKET``            sorted set  OID → time of recent removals that events reported, with a lifetime
``P lock:NAME``                  string      token of the process that holds a lock, with a lifetime
``P events:rejected``            stream      notifications that could not be read, newest last, trimmed; fields
                                             ``source``, ``reason``, ``size`` (bytes), ``body`` (its first bytes)
``P events:counts``              hash        received events, counted: ``SOURCE:events``, ``SOURCE:ignored:REASON``,
                                             ``SOURCE:rejected``; ``dispatcher:removals-unverified``: the store did
                                             not confirm them;
                                             ``dispatcher:repeated``: received before, usually from another source;
                                             ``writer:gaps``: the feed was trimmed before a writer read it
``P events:recent``              sorted set  digests of recently handled events → time of handling (Unix seconds),
                                             trimmed
``P events:probes``              stream      events of probe objects, trimmed; fields ``source``, ``oid``
``P sources``                    hash        event source → its condition as JSON (``workers.events.sources``)
``P catching-up``                hash        present while a writer reads all records after a gap in the feed:
                                             ``after``, the last key read, and ``again`` if another gap occurred
                                             meanwhile
``P redis-target:KEY``           hash        for the hash KEY that MinIO keeps (Redis target, format ``namespace``):
                                             each field → the version of the object that was sent to the inbox
``P ledger``                     sorted set  OID → deadline (Unix seconds) of each accepted object that has no
                                             record yet
``P ledger:accepted``            sorted set  OID → when it was accepted (Unix seconds), of the same objects
``P ledger:queue:QUEUE``         sorted set  OID → when it was put on the queue of a stage (Unix seconds), until it is
                                             put on the next one; ``waiting``: objects that were put off
``P ledger:counts``              hash        what the ledger has counted (``workers.lifecycle.ledger_counts``):
                                             ``accepted``, ``finished:STATE:REASON``, ``withdrawn:REASON``,
                                             ``attempts:STAGE``, ``retries:STAGE``, ``postponed:STAGE``; of times
                                             ``object:BOUND`` and ``stage:STAGE:BOUND``: their number up to so many
                                             seconds and above the bound before, and their sum in ms (BOUND ``ms``)
``P entry:OID``                  hash        an object in the ledger: ``ref`` (msgpack), ``etag``, ``revision``,
                                             ``sequence``, ``stage``, ``attempts``, ``accepted_at``, ``fault``,
                                             ``segment`` (the method, or empty), ``requested`` (1: somebody requested
                                             it), ``at:STAGE`` (when it entered each stage, Unix seconds),
                                             ``queued_at`` (when it was put on the queue of the last stage), ``queue``
                                             and ``since`` (in which queue it is, and since when), ``resent_at`` (when
                                             it was last sent again), ``begun_on`` (the queue whose message of it was
                                             begun), ``forced`` (1: it was ordered, so no earlier result counts),
                                             ``again`` (it is to be tagged once more when it is finished),
                                             ``fault_since`` (since when it has faults of its own), ``crash`` (how the
                                             last process ended that did not outlive it), ``unsegmented`` (why its
                                             segmentation was given up, msgpack ``workers.lifecycle.record.Error``)
``P segmenting``                 set         OIDs in the ledger that are to be segmented
``P segmentation-request:OID``   string      the requested segmentation method, or ``none``; removed with the next
                                             record, with a lifetime
``P artifacts``                  set         OIDs whose artifacts (label map, overlay) are in the store, or may be
``P record:OID``                 string      the final result: a head that the scripts read, and a compressed body
                                             (``workers.lifecycle.stored_record``)
``P object-number``              string      the last number that was given to an object. An object keeps its number
                                             until its record is removed; numbers are not given twice
``P numbered:PAGE``              hash        number modulo 64 → OID, of the numbers from 64 × PAGE on
``P records``                    sorted set  number (5 bytes) → time of its first record (Unix s), plus 2^33 for each
                                             place of its state in the order done, failed, dead, skipped; then dead
                                             ones that were acknowledged (``workers.lifecycle.dead``)
``P objects``                    sorted set  OID of each record, all with score 0: in byte order, as buckets list
                                             their keys
``P damaged``                    set         OIDs whose record cannot be read, until it is written again
``P tag:FORM``                   sorted set  number → rank, of the records that are found by this form of a label
                                             (``tasks.labels.index_form``): the confidence, or score, from 0 to
                                             1,000,000; 4,000,000 more for a tag, 2,000,000 more for the label of a
                                             segment, nothing for what one of them implies
``P tags``                       sorted set  form → number of records with it as a tag or the label of a segment;
                                             0 if it is only implied
``P tag-spellings:FORM``         sorted set  label → number of records that spell it so, if not as the form
``P feed``                       stream      finished objects, newest last, trimmed: ``oid``, ``state``, ``body``;
                                             of a removed one also ``removed``: what its record said of it (JSON)
``P feed:positions``             hash        partition → id of the last entry of its own feed that is in ``P feed``;
                                             none with one partition (``workers.dispatch.feed_relay``)
``P feed:replay``                hash        present while the records that a change of the encoder has replaced are
                                             added to the feed (``workers.dispatch.feed_replay``): ``after`` (OID),
                                             ``space``, ``until`` (time of the switch, Unix seconds), ``rate``
                                             (records each second), ``added``
``P notify:waiting``             hash        id of a webhook delivery → the delivery (msgpack), until it is
                                             delivered or dead. Of a receiver with another name than ``default`` this
                                             key and the next three end in ``:NAME``
``P notify:due``                 sorted set  the same ids → time of the next attempt (Unix seconds)
``P notify:dead``                stream      deliveries that were given up, newest last, trimmed; field
                                             ``delivery``: msgpack
``P notify:counts``              hash        attempts by outcome: ``delivered``, ``retried``, ``dead``; ``lost``: feed
                                             entries that were trimmed before the notifier read them; ``bytes`` of
                                             what waits; the last answer: ``last_at``, ``last_answer``,
                                             ``failing_since``, ``held_until`` (Unix seconds)
``P notify:receivers``           hash        receiver → what the notifier last reported of it (JSON, see
                                             ``workers.notifying.receivers``)
``P notify:paused``              hash        receiver that nothing is sent to for now → since when (Unix seconds)
``P heartbeats``                 hash        stage or process → time of its last progress (Unix seconds);
                                             ``taken:STAGE`` → when the message begun last was put on its queue
``P processes``                  hash        ``NAME HOST-PID`` → a process that sends this heartbeat, and the offset
                                             of its clock (msgpack), with a lifetime
``P models``                     hash        ``HOST-PID QUEUE MODEL`` → how a model of that process computes, and when
                                             that was last reported (msgpack); see ``workers.redis.models_in_use``
``P skipped-captions``           hash        vector space, captions version and id of a caption → if it is skipped or
                                             suspected (msgpack ``workers.captions.skipped.SkippedCaption``)
``P words``                      string      progress of ``workers.stages.words_ahead`` (msgpack)
``P drain``                      hash        present while nothing is handed out (``workers.redis.drain``): ``since``
                                             (Unix seconds), ``token``, dispatcher → the token that it has confirmed
``P encoder``                    string      the encoder that a switch has put into use (``workers.redis.encoders``)
``P encoder-change``             string      the encoder that prepares to replace it (JSON). What it prepares is under
                                             ``P next:``, with the names of this layout
``P encoder-feeder``             string      what the feeder of the encoder that prepares does (JSON), with a lifetime
``P reserved-numbers``           hash        OID → the number of its first record; only under ``P next:``
``P outages``                    hash        ``HOST-PID NAME`` → what that process cannot reach, since when, why,
                                             and when it last reported it (msgpack); see ``workers.outages.board``
``P statements:OID``             string      what people said of labels of the object (JSON list, see
                                             ``workers.lifecycle.statements``)
``P stated``                     set         OIDs of the objects with statements
``P statements-revision``        string      a number that grows with every change of a statement
``P statements-restored``        string      present once the journal of statements was replayed into this Redis
``P statements-time``            string      when something was said last (Unix seconds): what is said now is later
``P statements-unwritten``       hash        OID, a line feed and the form of a label → what was said of it last, also
                                             that it was taken back (JSON), until the journal has it
``P statements-taken-back``      sorted set  the same of what was taken back → when (Unix seconds), trimmed
``P statements-unfollowed``      sorted set  OID of which something was said → when what looks like it is tagged again
                                             (Unix seconds), unless that was done before
``P statements-journal``         string      the newest entry of the journal that this Redis has: later ones are
                                             replayed after a failover
``P images:position``            string      id of the last feed entry that the index of images was told of
                                             (``workers.images.follower``)
``P images:standing``            string      the last comparison of the index of images with the records, as JSON
                                             (``workers.images.findings``)
``P images:verify``              string      present if the index of images was found empty: compare it now
``P probe``                      string      written to test whether Redis accepts writes, with a lifetime
``P cache:KEY``                  string      values that can be computed again (word vectors, parsed captions), with
                                             a lifetime
``P idempotency:ID``             string      the result of an upload with an Idempotency-Key (JSON), with a lifetime
``P upload-slot:ID``             string      one upload that a presigned form of the gateway allows (JSON), with
                                             a lifetime (``workers.gateway.upload_slots``)
``P batches``                    set         ids of batches whose objects are not all known yet
``P batches:unfinished``         sorted set  id of each batch whose objects are not known to be finished → when it
                                             was last looked at (Unix seconds)
``P batch:ID``                   hash        a batch: ``created_at``, ``complete``, ``owner`` (id of an API key, or
                                             empty); for a prefix also ``prefix``, ``after``, ``force``
``P batch:ID:open``              sorted set  its unfinished objects (OID) → when they joined the batch (Unix ms)
``P batch:ID:counts``            hash        state → number of its objects that finished in this state
``P batch:ID:failed``            sorted set  its objects that finished without tags
``P batch:ID:gone``              sorted set  its objects that are not in the bucket, or excluded by the filter
``P batches:finished``           stream      finished batches, newest last, trimmed: ``batch`` (id), ``body`` (JSON)
``P api-keys``                   hash        id of an API key → JSON: ``sha256`` of its secret, ``name``, ``scope``,
                                             ``created``
``P page-sessions:ID``           sorted set  digest of each session of the page → when it ends (Unix seconds). ``ID``
                                             is that of its API key, or ``admin``; with a lifetime
``P rpc:ID``                     list        the answer to one request (``workers.redis.rpc``), with a lifetime
``P query-image:ID``             string      bytes of an image that is searched with, until its vector is made, with
                                             a lifetime (``workers.images.query_image``)
``P search:ID``                  list        one list that is kept for its further pages, as of a search: first of
                                             what it is a list, then an item each, with a lifetime that each page
                                             renews (``workers.images.kept_lists``)
``P searches``                   list        the lists that are kept, newest first, trimmed by their number and bytes:
                                             ``ID:BYTES``
===============================  ==========  =======================================================================

Celery keeps its queues under the same prefix and its own names: ``P embedding`` and the other stages, ``P unacked``,
``P unacked_index``, ``P _kombu.binding.*``. They are not part of this layout and have no version.
"""

from __future__ import annotations

from dataclasses import dataclass

from workers.redis.event_keys import EventKeys
from workers.redis.image_keys import ImageKeys
from workers.redis.ledger_keys import LedgerKeys
from workers.redis.notify_keys import NotifyKeys
from workers.redis.process_keys import ProcessKeys
from workers.redis.record_keys import RecordKeys
from workers.redis.recovery_keys import RecoveryKeys


@dataclass(frozen=True)
class Keys(EventKeys, ImageKeys, LedgerKeys, NotifyKeys, ProcessKeys, RecordKeys, RecoveryKeys):
    """The names of the keys under one prefix."""

    @property
    def layout_version(self) -> str:
        return f"{self.prefix}layout-version"

    @property
    def segmentation_queue(self) -> str:
        return f"{self.prefix}segmentation-queue"

    @property
    def segmentation_queue_forced(self) -> str:
        return f"{self.prefix}segmentation-queue:forced"

    @property
    def segmentation_queue_origins(self) -> str:
        return f"{self.prefix}segmentation-queue:origins"

    def segmentation_request(self, oid: str) -> str:
        return f"{self.prefix}segmentation-request:{oid}"

    @property
    def segmenting(self) -> str:
        return f"{self.prefix}segmenting"

    @property
    def artifacts(self) -> str:
        return f"{self.prefix}artifacts"

    def lock(self, name: str) -> str:
        return f"{self.prefix}lock:{name}"

    @property
    def feed(self) -> str:
        return f"{self.prefix}feed"

    @property
    def probe(self) -> str:
        return f"{self.prefix}probe"

    @property
    def api_keys(self) -> str:
        return f"{self.prefix}api-keys"

    def page_sessions(self, owner: str) -> str:
        return f"{self.prefix}page-sessions:{owner}"

    def entry(self, oid: str) -> str:
        return f"{self.prefix}entry:{oid}"

    def cache(self, key: str) -> str:
        return f"{self.prefix}cache:{key}"

    def upload_slot(self, digest: str) -> str:
        return f"{self.prefix}upload-slot:{digest}"

    def idempotency(self, digest: str) -> str:
        return f"{self.prefix}idempotency:{digest}"

    def rpc(self, request: str) -> str:
        return f"{self.prefix}rpc:{request}"
