"""The device of models, as checks of ``wildtag doctor``: the one that the settings give, and those in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tasks.encoders import BUNDLED
from tasks.encoders.devices import Device
from tasks.encoders.runtimes import AUTO
from tasks.encoders.tuning.remembered import Tuning
from vectordb.errors import WildtagError
from workers.diagnostics.check import Check
from workers.redis.models_in_use import ModelInUse

_BUILD = "install a build of torch for this GPU and its driver, or set WILDTAG_DEVICE=cpu"


def device_checks(
    wish: str, look: Callable[[str], Device] | None, in_use: Callable[[], Sequence[ModelInUse]]
) -> Iterator[Check]:
    """``wish``: the setting. ``look``: finds the device for it; ``None`` if no model of torch is configured.

    ``in_use``: the models of the running stack.
    """
    if look is None:
        ignored = "" if wish in {"auto", "cpu"} else f"; nothing uses WILDTAG_DEVICE={wish}"
        yield Check.passed("device", f"cpu: the bundled encoder computes there{ignored}")
    else:
        yield _chosen(wish, look)
    try:
        running = in_use()
    except WildtagError:
        return  # the check of the stack says why
    for one in running:
        check = Check.note if one.reason else Check.passed
        yield check(f"{one.queue}: {one.model}", str(one))


def tuning_check(
    wish: str, encoder: str, tuned: Callable[[], Tuning | None], *, on_cpu: bool = True
) -> Iterator[Check]:
    """What `wildtag tune` measured; nothing if the encoder does not compute ``on_cpu``.

    ``wish``: the runtime that the settings name. ``tuned``: reads the measurement.
    """
    if not on_cpu:
        return
    if wish != AUTO and encoder != BUNDLED:
        yield Check.passed("runtime", f"{wish}, as WILDTAG_RUNTIME says")
        return
    try:
        found = tuned()
    except WildtagError:
        return  # the check of the packages says why the model cannot be read
    if found is None:
        yield Check.note("runtime", "not measured on this machine: the usual runtime and batches", "wildtag tune")
    else:
        plans = "; ".join(f"{side}s {found.described(side)}" for side in found.plans)
        if all(map(found.was_measured, found.plans)):
            yield Check.passed("runtime", plans)
        else:
            yield Check.note("runtime", plans, "wildtag tune --again")


def _chosen(wish: str, look: Callable[[str], Device]) -> Check:
    try:
        device = look(wish)
    except WildtagError as exc:
        return Check.failed("device", str(exc), _BUILD)
    hardware = f" ({device.hardware})" if device.hardware else ""
    batch = "; batches are measured when a model is loaded" if device.accelerated else ""
    detail = f"{device.name}{hardware}, {device.dtype}{batch}"
    if device.reason:
        return Check.note("device", f"{detail}: {device.reason}", _BUILD)
    return Check.passed("device", detail)
