"""Decides what follows when a process of a worker has died over its work, and pauses a stage whose model is broken.

==============================================  ==============================================================
what the process worked on when it died         what its successor does
==============================================  ==============================================================
one object                                      an attempt counts; it is tried again, with nothing beside it
several objects                                 no attempt counts; each is tried again alone
one caption, which it extracted alone           no attempt counts; the caption is tried again, then skipped
a request of another process                    tells that process that the request failed
the self-test of a stage                        the stage pauses; what was counted against objects is taken back
==============================================  ==============================================================

In each case the models of the stage are tried before its next message (``workers.stages.self_test``). A stage pauses,
too, when ``IN_A_ROW`` objects crashed one after the other and none ended well: then one object at a time is tried,
which counts. A pause doubles with each trial, from ``FIRST_S`` to ``LONGEST_S``. It is an outage of the service
``model``, so ``wildtag status``, ``/readyz`` and ``/metrics`` show it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog

from tasks.message_parts import ObjectRef
from tasks.messages import Batch, Submitted
from vectordb.errors import Transient
from workers.errors.consequences import Consequence, may_be_input, of
from workers.errors.rows import MODEL
from workers.outages.tracker import OutageTracker
from workers.stages.caption_trials import CaptionTrials
from workers.stages.crash_journal import CrashJournal, Held, Pause, State, while_alive
from workers.stages.handover import Handover
from workers.stages.self_test import InputFailed, ModelBroken, SelfTest

log = structlog.get_logger()

FIRST_S = 5.0
LONGEST_S = 300.0
IN_A_ROW = 5
UNKNOWN = "ended without a word"


class CrashGuard:
    """Guards the stages of one process. ``recover`` is called once, when it begins."""

    def __init__(
        self,
        journal: CrashJournal,
        self_tests: Mapping[str, SelfTest],
        handover: Handover,
        outage_tracker: OutageTracker,
        answer_crashed: Callable[[str, str], object],
        time_limits: Mapping[str, float],
        clock: Callable[[], float] = time.time,
        captions: CaptionTrials | None = None,
    ) -> None:
        """``answer_crashed``: tells the sender of an RPC request why it gets no answer. ``time_limits``: by stage.

        ``captions``: takes note of captions over which processes end.
        """
        self._captions = captions
        self._journal = journal
        self._self_tests = self_tests
        self._handover = handover
        self._outages = outage_tracker
        self._answer_crashed = answer_crashed
        self._time_limits = time_limits
        self._clock = clock

    def recover(self) -> None:
        """Do what follows from the end of the process before this one. What fails is left to the ledger."""
        state, how = self._journal.state, self._journal.ended()
        if state.testing:
            self._pause(state.testing, f"the models of {state.testing} do not work: the process {how or UNKNOWN}")
        held = list(state.held.values())
        objects: list[tuple[str, Submitted]] = []
        for one in held:
            if one.batch:
                batch = Submitted.decode(one.batch)
                objects.append((one.stage, batch))
        how = self._over_time(held, how) or how or UNKNOWN
        # if it ended on purpose, nobody is to blame, however few there were
        count = 0 if state.left else sum(len(batch.objects) for _, batch in objects)
        for one in held:
            log.error("a process ended over its work", stage=one.stage, how=how, request=one.request or None)
        try:
            if self._caption_is_to_blame(how, [stage for stage, _ in objects]):
                count = 0  # whatever object it was worked on for
            for stage, batch in objects:
                self._handover.blame(batch.objects, batch.revision, f"{how} in {stage}", blamed=count == 1)
            for one in held:
                if one.request:
                    self._answer_crashed(one.request, f"this request ended the process that handled it, which {how}")
        except Transient as exc:
            log.warning("left to the ledger", error=str(exc))
        self._journal.update(lambda state: self._note(state, objects, count))

    def _caption_is_to_blame(self, how: str, stages: Sequence[str]) -> bool:
        caption = self._journal.state.caption
        if caption is None or self._captions is None or self._journal.state.left:
            return False
        if not self._captions.ended(caption, f"a process {how} over it"):
            return False
        suspects = dict.fromkeys(stages, caption)
        self._journal.update(lambda state: state.suspects.update(suspects))
        return True

    @contextmanager
    def holding(
        self, stage: str, batch: Batch | None = None, request: str = "", *, alone: bool = False
    ) -> Iterator[None]:
        """Work on a message or a request, which a successor finds if this process dies over it.

        ``alone``: an object of it is one over which a process has ended.
        """
        objects = b"" if batch is None else Submitted(objects=batch.objects, revision=batch.revision).encode()
        self._journal.alone = alone
        try:
            with self._journal.holding(stage, objects, request):
                yield
        except Exception as exc:
            if batch is not None and not of(exc).passes:  # a trial that the process has outlived
                self.finished(stage)
            raise

    def leaving(self) -> None:
        """This process ends on purpose: what it works on beside is not to blame."""
        self._journal.update(lambda state: setattr(state, "left", True))

    def overdue(self) -> str:
        """How this process is to be ended if a message exceeds its time limit; else empty."""
        return self._journal.overdue(self._time_limits)

    @contextmanager
    def testing(self, stage: str) -> Iterator[None]:
        """Do what concerns the models of a stage and no object. If this process dies over it, the stage pauses."""
        self._journal.update(lambda state: setattr(state, "testing", stage))
        with while_alive(lambda: self._journal.update(lambda state: setattr(state, "testing", ""))):
            yield

    def require(self, stage: str) -> None:
        """Raise ``ModelBroken`` while a stage pauses. Tries its models first, if a process has died over them."""
        state = self._journal.state
        pause = state.paused.get(stage)
        if pause is not None and self._clock() < pause.until:
            raise self._broken(stage, pause)
        if pause is not None and not pause.for_all:
            # the next object is the trial; it ends the pause, or its successor finds the next one begun
            self._journal.update(lambda state: self._prolong(state, stage, pause.reason, for_all=False))
            return
        if stage in state.doubted or pause is not None:
            self._try(stage)

    def finished(self, stage: str) -> None:
        """A message of a stage has ended well."""
        state = self._journal.state
        if stage in state.crashes or stage in state.paused:
            self._journal.update(lambda state: (state.crashes.pop(stage, None), state.paused.pop(stage, None)))
            if not state.paused:
                self._outages.end(MODEL)

    def judged(self, stage: str, error: Exception) -> Exception:
        """The error as it is; ``ModelBroken`` instead of one that the models have of harmless input, too.

        ``InputFailed`` instead of one of the runtime, which may be that of the models, and is not.
        """
        runtime = may_be_input(error)
        if not (runtime or of(error).consequence is Consequence.BUG) or stage not in self._self_tests:
            return error
        try:
            self._try(stage)
        except Exception as exc:
            return exc
        if not runtime:
            return error
        failed = InputFailed(f"{type(error).__name__}: {error}")
        failed.__cause__ = error
        return failed

    def _try(self, stage: str) -> None:
        test = self._self_tests.get(stage)
        if test is not None:
            try:
                with self.testing(stage):
                    test()
            except Exception as exc:
                if of(exc).passes and not may_be_input(exc):  # a service is away: it is tried when that is back
                    raise
                reason = f"the models of {stage} do not work: {type(exc).__name__}: {exc}"
                self._pause(stage, reason)
                raise self._broken(stage, self._journal.state.paused[stage]) from exc
        ended = self._journal.state.paused.get(stage)

        def works(state: State) -> None:
            state.doubted.discard(stage)
            state.suspects.pop(stage, None)
            if ended is not None and ended.for_all:
                state.paused.pop(stage, None)
                state.crashes.pop(stage, None)

        self._journal.update(works)
        if ended is not None and not self._journal.state.paused:
            self._outages.end(MODEL)

    def _broken(self, stage: str, pause: Pause) -> ModelBroken:
        left = max(0.0, pause.until - self._clock())
        reason = f"{stage} pauses: {pause.reason}; {pause.trials} trials in vain, the next in {left:.0f} s"
        self._outages.begin(MODEL, reason, lapses=True, since=pause.since)
        return ModelBroken(reason)

    def _pause(self, stage: str, reason: str) -> None:
        """The self-test of a stage failed: no object was to blame."""
        blamed = [Submitted.decode(one) for one in self._journal.state.crashes.get(stage, [])]
        try:
            suspect = self._journal.state.suspects.get(stage)
            if suspect is not None and self._captions is not None:
                self._captions.pardon(suspect)
            for batch in blamed:
                self._handover.pardon(batch.objects, batch.revision, reason)
        except Transient as exc:
            log.warning("left to the ledger", error=str(exc))

        def change(state: State) -> None:
            state.testing = ""
            state.suspects.pop(stage, None)
            state.doubted.add(stage)
            state.crashes.pop(stage, None)
            self._prolong(state, stage, reason, for_all=True)

        self._journal.update(change)
        log.error("a stage pauses", stage=stage, reason=reason)

    def _prolong(self, state: State, stage: str, reason: str, *, for_all: bool) -> None:
        now, before = self._clock(), state.paused.get(stage)
        trials = 1 if before is None else before.trials + 1
        pause = min(LONGEST_S, FIRST_S * 2 ** min(trials - 1, 10))
        since = now if before is None else before.since
        state.paused[stage] = Pause(reason, since, now + pause, trials, for_all)

    def _note(self, state: State, objects: list[tuple[str, Submitted]], count: int) -> None:
        state.held.clear()
        state.left = False
        state.caption = None
        for stage, batch in objects:
            state.doubted.add(stage)
            if count == 1:
                state.crashes.setdefault(stage, []).append(batch.encode())
                row = state.crashes[stage] = state.crashes[stage][-IN_A_ROW:]
                if len(row) == IN_A_ROW and stage not in state.paused and len(_ids(row)) > 1:
                    names = ", ".join(sorted(_ids(row))[:3])
                    reason = f"the last {IN_A_ROW} attempts all ended the process ({names}, …)"
                    self._prolong(state, stage, reason, for_all=False)
                    log.error("a stage pauses", stage=stage, reason=reason)

    def _over_time(self, held: Sequence[Held], how: str) -> str:
        """Celery kills what takes too long."""
        if how and "SIGKILL" not in how:
            return ""
        for one in held:
            limit = self._time_limits.get(one.stage)
            if limit is not None and self._journal.age(one) >= 0.9 * limit:
                return f"was ended since it took longer than {limit:.0f} s"
        return ""


def _ids(packed: list[bytes]) -> set[str]:
    refs: list[ObjectRef] = [Submitted.decode(one).objects[0] for one in packed]
    return {ref.id for ref in refs}
