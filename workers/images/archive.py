"""The archive follows what is taught: images that a caption concerns are tagged again, at low priority.

A caption concerns an image if it is among the captions that are kept for it: nearer than the image's floor (see
``vectordb.images.ImageEntry``). That holds for a caption that was added, and for one that was removed.

The owner of the index compares a slice of the images and sends itself the rest, behind the images that wait in its
queue. See ``workers.images.follow_jobs`` for what is kept of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import structlog

from tasks.hubness import ReferenceVectors
from tasks.message_parts import Floats, Vectors
from vectordb.errors import Permanent, Transient
from vectordb.images import ImageEntry, ImageIndex
from workers.images import image_requests
from workers.images.follow_jobs import BEGINNING, GOES_ON_S, FollowJob, FollowJobs, JobGone
from workers.images.open_images import OpenImages
from workers.images.remote_images import OWNER
from workers.redis.rpc import RpcClient, RpcTransient, Sender

log = structlog.get_logger()

TASK = "wildtag.archive"
SLICE_S = 0.03  # aimed at; images wait for that long
LEAST, MOST = 250, 16_000  # images of a slice
POLL_S = 0.02


class Followed(msgspec.Struct, frozen=True):
    """``images``: how many are concerned, each counted once. ``counts``: how many each caption concerns.

    ``complete``: all images were compared; otherwise it goes on, and more may be found.
    """

    images: int
    counts: tuple[int, ...]
    complete: bool = True


class Archive:
    """Finds the images that captions concern, in the process that owns the index of images."""

    def __init__(
        self,
        images: Callable[[], OpenImages],
        jobs: FollowJobs,
        sender: Callable[[], Sender],
        reference_vectors: Callable[[], ReferenceVectors | None],
        tag_again: Callable[[], object] = lambda: None,
    ) -> None:
        """``tag_again``: has all objects in progress tagged once more. They are not in the index yet."""
        self._tag_again = tag_again
        self._images = images
        self._jobs = jobs
        self._sender = sender
        self._reference_vectors = reference_vectors
        self._slice = LEAST * 4

    def step(self, name: str) -> None:
        """Compare one slice of the images, and send the rest of the job to the own queue."""
        try:
            job = self._jobs.read(name)
            if job.done:
                return
            if not job.dry and job.after == int(BEGINNING):
                self._tag_again()
            ended = self._images().use(lambda index: self._compare(index, job))
        except JobGone as exc:
            log.warning("job gone", job=name, reason=str(exc))
            return
        except (Transient, Permanent) as exc:
            log.warning("archive does not follow", job=name, reason=str(exc), then="it is tried again")
            self._jobs.failed(name, str(exc))
            return
        if not ended:
            send(self._sender(), name)

    def _compare(self, index: ImageIndex, job: FollowJob) -> bool:
        """Compare a slice. Returns whether nothing is left to be done here."""
        began = time.monotonic()
        ids = index.ids_after(job.after, self._slice)
        found: dict[int, ImageEntry] = {}
        counts = []
        vectors = job.vectors.array()
        for vector, hub in zip(vectors, self._hubness(vectors), strict=True):
            concerned = index.concerned(vector, hub, job.captions_version, ids) if ids else []
            counts.append(len(concerned))
            found |= {entry.id: entry for entry in concerned}
        done = len(ids) < self._slice
        oids = [entry.object_id for entry in found.values()]
        stored = self._jobs.found(job, ids[-1] if ids else job.after, oids, counts, done=done)
        factor = min(2.0, max(0.5, SLICE_S / max(1e-6, time.monotonic() - began)))
        self._slice = int(min(MOST, max(LEAST, self._slice * factor)))
        if done and stored:
            log.info("archive follows", images=job.images + len(oids), captions=len(vectors), dry=job.dry)
        return done or not stored  # otherwise the same job was sent twice, and the other one goes on

    def _hubness(self, vectors: Floats) -> list[float]:
        reference = self._reference_vectors()
        if reference is None:
            return [0.0] * len(vectors)
        return [reference.of(vector) for vector in vectors]


def send(sender: Sender, job: str) -> None:
    """Send a job to the owner. Nobody waits for an answer."""
    sender.ask(OWNER, TASK, "", job.encode(), f"(follow captions {job})", GOES_ON_S * 6)


class Following:
    """One lesson: ``before`` is called before captions change, ``finish`` after."""

    def __init__(
        self, rpc: RpcClient, jobs: FollowJobs, sender: Sender, captions_version: str, patience_s: float, *, dry: bool
    ) -> None:
        self._rpc = rpc
        self._jobs = jobs
        self._sender = sender
        self._version = captions_version
        self._patience_s = patience_s
        self._dry = dry
        self._job: str | None = None

    def before(self, vectors: Floats) -> None:
        """Prepare to follow captions with these vectors (n, dimension).

        Raises ``RpcTimeout``, ``RpcTransient`` or ``RpcPermanent`` if the archive could not follow.
        """
        if not len(vectors):
            return
        probe = image_requests.IdsAfter(-1, 1)  # the cheapest request that opens the index
        self._rpc.ask(OWNER, image_requests.TASK, msgspec.msgpack.encode(probe), "images idsafter")
        self._job = self._jobs.prepare(Vectors.of(vectors), self._version, dry=self._dry)

    def finish(self) -> Followed:
        """Seek the images. What is not found in time is found later, see ``Followed``. Raises ``RpcTransient``."""
        if self._job is None:
            return Followed(0, ())
        if not self._dry:
            self._jobs.postpone(self._job)
        send(self._sender, self._job)
        until = time.monotonic() + self._patience_s
        while True:
            job = self._jobs.read(self._job)
            if job.fault is not None and self._dry:
                raise RpcTransient(job.fault)
            if job.done or job.fault is not None or time.monotonic() >= until:
                return Followed(job.images, job.counts, job.done)
            time.sleep(POLL_S)


class RemoteArchive:
    """The archive of a running stack."""

    def __init__(self, rpc: RpcClient, jobs: FollowJobs, sender: Sender, patience_s: float) -> None:
        self._rpc = rpc
        self._jobs = jobs
        self._sender = sender
        self._patience_s = patience_s

    def following(self, captions_version: str, *, dry: bool = False) -> Following:
        """What is to be done before and after captions of this version change. ``dry``: only count."""
        return Following(self._rpc, self._jobs, self._sender, captions_version, self._patience_s, dry=dry)


class StalledJobs:
    """Sends jobs again that make no progress: a worker was killed, or nobody has begun them. Raises ``Transient``."""

    def __init__(self, jobs: FollowJobs, sender: Sender) -> None:
        self._jobs = jobs
        self._sender = sender

    def step(self) -> None:
        """Send one, if there is any."""
        job = self._jobs.stalled()
        if job is not None:
            log.info("archive goes on following", job=job)
            send(self._sender, job)
