"""What follows from an error. ``of`` is pure: it reads the table of ``workers.errors.rows``, and nothing else.

==============  ===========================================================  ======================  ==============
consequence     what a stage does                                            counts an attempt       the gateway
==============  ===========================================================  ======================  ==============
``WAIT``        waits for the service, then returns the message              no                      503
``RETRY``       tries this message again; then the ledger does               no, until it gives up   503
``ALONE``       several objects: each alone; one object: as ``RETRY``        no                      503
``AGAIN``       submits the objects again, for the captions now in use       no                      503
``DROP``        drops the message, whose objects the ledger sends again      no                      500
``REFUSE``      several objects: each alone; one object: ``failed``          –                       400, 403, …
``BUG``         several objects: each alone; one object: ``failed``          –                       500
``ATTEMPT``     several objects: each alone; one: again, ``dead`` at last    yes                     500
``RAISE``       nothing: the process is to end                               –                       –
==============  ===========================================================  ======================  ==============

``BUG`` fails an object only if the model of the stage still works, see ``workers.stages.self_test``; so does
``ATTEMPT`` count one. An object that ends its process raises nothing: see ``workers.stages.crash_guard``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vectordb.resources import lacks_resources, passes
from workers.errors.rows import MODEL, NAMED_BY_ERROR, ROWS


class Consequence(StrEnum):
    """See the table above."""

    WAIT = "wait"
    RETRY = "retry"
    ALONE = "alone"
    AGAIN = "again"
    DROP = "drop"
    REFUSE = "refuse"
    BUG = "bug"
    ATTEMPT = "attempt"
    RAISE = "raise"


RUNTIME = "onnxruntime."
"""The beginning of the names of errors that a model's runtime raises, when it is loaded and for an input."""
LIBRARIES = ("onnxruntime", "torch", "qdrant_edge", "sqlite3")
PASSING = frozenset({Consequence.WAIT, Consequence.RETRY, Consequence.ALONE, Consequence.AGAIN})
"""After which the same call may succeed."""


@dataclass(frozen=True)
class Effect:
    """``service``: what all work waits for. ``row``: the name of the class whose row it is; empty without one."""

    consequence: Consequence
    service: str | None = None
    row: str = ""

    @property
    def passes(self) -> bool:
        """Whether the same call may succeed later."""
        return self.consequence in PASSING


def name_of(kind: type[BaseException]) -> str:
    """The name by which the table has a class."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def has_row(kind: type[BaseException]) -> bool:
    """Whether a class has a row of its own."""
    return name_of(kind) in ROWS


def of(error: BaseException) -> Effect:
    """What follows from an error: by the row of its class, else by that of the nearest class above it.

    The service is that of the row, or that of the error where it knows it better. An error of a library is judged by
    what it says, too: a lack of memory is none of the object.
    """
    for kind in type(error).__mro__:
        row = ROWS.get(name_of(kind))
        if row is None:
            continue
        consequence, service = Consequence(row[0]), row[1]
        if service == NAMED_BY_ERROR:
            service = getattr(error, "service", None)
            if service is None and consequence is Consequence.WAIT:
                consequence = Consequence.RETRY
        if consequence is Consequence.BUG and (passes(error) or _says_so(error)):
            consequence = Consequence.ALONE
        return Effect(consequence, service, name_of(kind))
    return Effect(Consequence.RAISE)


def may_be_input(error: BaseException) -> bool:
    """Whether the runtime of a model raised it, so that the model is broken, or takes only this input badly."""
    effect = of(error)
    return effect.service == MODEL and effect.row.startswith(RUNTIME)


def service_of(error: BaseException) -> str | None:
    """The service that is away, if the error says that of one."""
    effect = of(error)
    return effect.service if effect.consequence is Consequence.WAIT else None


def _says_so(error: BaseException) -> bool:
    """Whether a library says that memory or another resource was short. A bug of ours may quote such words, too."""
    library = isinstance(error, RuntimeError | OSError) or type(error).__module__.startswith(LIBRARIES)
    return library and lacks_resources(str(error))
