"""The Redis layout: every key that wildtag writes, and nothing else may write them.

``P`` is the prefix of the settings, ``OID`` is ``bucket/key``. The scripts in ``workers/scripts`` build key names
themselves, so all keys must live on one server (a primary with replicas, not a cluster).

=====================  ==========  ==========================================================================
key                    type        holds
=====================  ==========  ==========================================================================
``P inbox``            stream      object events that no dispatcher has dealt with; field ``event``: msgpack
``P later``            stream      the same, of objects that are tagged again when nothing else is to be done
``P segments``         sorted set  OID → since when it waits for its turn to be segmented (Unix seconds)
``P segments:forced``  set         those of them that are tagged again whatever they have
``P reconcile:BUCKET`` hash        how far the comparison with a bucket has come: ``prefix``, ``after``
``P lock:NAME``        string      who is at something that only one may do, with a lifetime
``P junk``             stream      notifications that could not be read, newest last, trimmed; fields ``source``,
                                   ``reason``, ``size`` (bytes), ``body`` (its beginning)
``P told``             hash        what the event sources were told, counted: ``SOURCE:events``,
                                   ``SOURCE:ignored:REASON``, ``SOURCE:junk``;
                                   ``dispatcher:removals unseen``: the store does not say whether they are true;
                                   ``dispatcher:repeated``: told before, most often by another source;
                                   ``writer:gaps``: the feed had forgotten what no writer had read
``P heard``            sorted set  digests of the events that were dealt with last → when (Unix seconds), trimmed
``P sources``          hash        event source → JSON: how it is (``workers.events.sources``)
``P sightings``        stream      events of probes, trimmed; fields ``source``, ``oid``
``P catching-up``      hash        there while a writer goes through all records after such a gap: ``after``, the last
                                   key, and ``again`` where there was another gap meanwhile
``P seen:KEY``         hash        of the hash KEY that MinIO keeps (Redis target, format ``namespace``): each field →
                                   which version of the object the inbox was told of
``P ledger``           sorted set  OID → deadline (Unix seconds) of every accepted object without a record
``P entry:OID``        hash        of an object in the ledger: ``ref`` (msgpack), ``etag``, ``revision``,
                                   ``sequence``, ``stage``, ``attempts``, ``accepted_at``, ``fault``,
                                   ``segment`` (the way, or empty), ``asked`` (1: somebody asked for that),
                                   ``at:STAGE`` (when it came to each, Unix seconds), ``handed`` (when it was put on
                                   the queue of the last)
``P segmenting``       set         OID of those in the ledger that are to be segmented
``P wish:OID``         string      the way in which somebody wants it segmented, or ``none``; until its record, with a
                                   lifetime
``P drawn``            set         OID of the objects whose pictures (label map, overlay) are in the store, or may be
``P record:OID``       hash        the final word: ``etag``, ``revision``, ``sequence``, ``state``, ``labels``
                                   (JSON list), ``segment`` and ``asked`` as of an entry, ``body`` (JSON record)
``P records``          sorted set  OID → time of its record (Unix seconds)
``P objects``          sorted set  the same OIDs in the order of their bytes, as buckets list their keys (score 0)
``P state:STATE``      sorted set  the same, of the records in one state: done, failed, dead, skipped
``P tag:LABEL``        sorted set  OID → score, of the records with that tag
``P tags``             sorted set  label → number of records that carry it
``P feed``             stream      finished objects, newest last, trimmed; fields ``oid``, ``state``, ``body``
``P notify:waiting``   hash        id of a webhook delivery → the delivery (msgpack), until it is delivered or dead
``P notify:due``       sorted set  the same ids → when the next attempt is due (Unix seconds)
``P notify:dead``      stream      deliveries that were given up, newest last, trimmed; field ``delivery``: msgpack
``P notify:counts``    hash        attempts by what became of them, ``delivered``, ``again``, ``dead``; and ``lost``:
                                   entries of the feed that were trimmed before the notifier read them
``P health``           hash        stage or process → time of its last progress (Unix seconds)
``P obstacles``        hash        ``HOST-PID NAME`` → what that process cannot reach, since when and why, and when it
                                   wrote so last (msgpack); see ``workers.outages.board``
``P probe``            string      written to see whether Redis takes writes, with a lifetime
``P cache:KEY``        string      what can be computed again (word vectors, parsed captions), with a lifetime
``P idempotency:ID``   string      what an upload with an Idempotency-Key led to (JSON), with a lifetime
``P batches``          set         ids of batches whose objects are not all known yet
``P batch:ID``         hash        a batch: ``created_at``, ``complete``; of a prefix ``prefix``, ``after``, ``force``
``P batch:ID:open``    sorted set  its objects (OID) that are not at their end → when they came to it (Unix ms)
``P batch:ID:counts``  hash        state → how many of its objects ended so
``P batch:ID:failed``  sorted set  its objects that ended without tags
``P api-keys``         hash        id of an API key → JSON: ``sha256`` of its secret, ``name``, ``scope``, ``created``
``P rpc:ID``           list        one answer to a question (``workers.redis.rpc``), with a lifetime
=====================  ==========  ==========================================================================

Celery keeps its queues under the same prefix and its own names: ``P embedding`` and the other stages, ``P unacked``,
``P unacked_index``, ``P _kombu.binding.*``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Keys:
    """The names of the keys under one prefix."""

    prefix: str

    @property
    def inbox(self) -> str:
        return f"{self.prefix}inbox"

    @property
    def later(self) -> str:
        return f"{self.prefix}later"

    @property
    def segments(self) -> str:
        return f"{self.prefix}segments"

    @property
    def segments_forced(self) -> str:
        return f"{self.prefix}segments:forced"

    @property
    def segmenting(self) -> str:
        return f"{self.prefix}segmenting"

    @property
    def drawn(self) -> str:
        return f"{self.prefix}drawn"

    @property
    def objects(self) -> str:
        return f"{self.prefix}objects"

    def reconcile(self, bucket: str) -> str:
        return f"{self.prefix}reconcile:{bucket}"

    def lock(self, name: str) -> str:
        return f"{self.prefix}lock:{name}"

    @property
    def junk(self) -> str:
        return f"{self.prefix}junk"

    @property
    def told(self) -> str:
        return f"{self.prefix}told"

    @property
    def heard(self) -> str:
        return f"{self.prefix}heard"

    @property
    def sources(self) -> str:
        return f"{self.prefix}sources"

    @property
    def sightings(self) -> str:
        return f"{self.prefix}sightings"

    @property
    def catching_up(self) -> str:
        return f"{self.prefix}catching-up"

    @property
    def ledger(self) -> str:
        return f"{self.prefix}ledger"

    @property
    def records(self) -> str:
        return f"{self.prefix}records"

    @property
    def tags(self) -> str:
        return f"{self.prefix}tags"

    @property
    def feed(self) -> str:
        return f"{self.prefix}feed"

    def notify(self, name: str) -> str:
        return f"{self.prefix}notify:{name}"

    @property
    def health(self) -> str:
        return f"{self.prefix}health"

    @property
    def obstacles(self) -> str:
        return f"{self.prefix}obstacles"

    @property
    def probe(self) -> str:
        return f"{self.prefix}probe"

    @property
    def api_keys(self) -> str:
        return f"{self.prefix}api-keys"

    def seen(self, key: str) -> str:
        return f"{self.prefix}seen:{key}"

    def entry(self, oid: str) -> str:
        return f"{self.prefix}entry:{oid}"

    def record(self, oid: str) -> str:
        return f"{self.prefix}record:{oid}"

    def state(self, state: str) -> str:
        return f"{self.prefix}state:{state}"

    def tag(self, label: str) -> str:
        return f"{self.prefix}tag:{label}"

    def cache(self, key: str) -> str:
        return f"{self.prefix}cache:{key}"

    @property
    def batches(self) -> str:
        return f"{self.prefix}batches"

    def batch(self, batch: str, part: str = "") -> str:
        return f"{self.prefix}batch:{batch}" + (f":{part}" if part else "")

    def idempotency(self, digest: str) -> str:
        return f"{self.prefix}idempotency:{digest}"

    def rpc(self, request: str) -> str:
        return f"{self.prefix}rpc:{request}"
