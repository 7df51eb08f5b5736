"""Connects ``status`` to a stack without waiting for long, also again after it was away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vectordb.errors import Transient
from workers.settings.settings import Settings
from workers.settings.variables import PREFIX, variable

if TYPE_CHECKING:
    from workers.cli.status.overview import OverviewReader

PATIENCE_S = 3.0  # for one answer of Redis


class NoStack(Exception):
    """No stack is ready in this home. ``phase``: starting or stopping, or ``None`` if there is none at all."""

    def __init__(self, settings: Settings, phase: str | None) -> None:
        self.settings = settings
        self.phase = phase
        doing = f"is {phase}" if phase else "is not running"
        super().__init__(f"the stack in {settings.home} {doing}")


def why(exc: Exception) -> str:
    """What an error says. Wrong settings are named without their values, which may be secrets."""
    from pydantic import ValidationError  # noqa: PLC0415 -- keeps the command line quick

    if not isinstance(exc, ValidationError):
        return str(exc) or type(exc).__name__
    wrong = [(variable(str((*error["loc"], "")[0])), error["msg"]) for error in exc.errors(include_input=False)]
    return "; ".join(f"{name}: {said}" if name != PREFIX else said for name, said in wrong)


def reader() -> OverviewReader:
    """A reader of the stack of this home, or of the Redis that the environment names, as it is now.

    Raises ``NoStack``, ``OtherLayout`` if another version of wildtag wrote its keys, and ``ValidationError``.
    """
    from workers.cli.status.overview import OverviewReader  # noqa: PLC0415 -- keeps the command line quick
    from workers.embedded.stack import reached, running  # noqa: PLC0415 -- as above
    from workers.supervision.home import phase_of  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    settings = Settings()
    up = reached(settings) if "redis_url" in settings.model_fields_set else running(settings)
    if up is None:
        raise NoStack(settings, phase_of(settings.home))
    wiring = Wiring(up, patience_s=PATIENCE_S)
    try:
        wiring.layout.require()
    except Transient as exc:
        return OverviewReader(wiring, exc)
    return OverviewReader(wiring)
