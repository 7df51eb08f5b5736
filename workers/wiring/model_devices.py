"""Which devices the settings ask for, tested before a process starts. Loads no torch in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from workers.settings.settings import INGESTION, QUEUES, SEGMENTATION, STAGES, Settings

if TYPE_CHECKING:
    from tasks.encoders.devices import Device, Machine
    from workers.redis.models_in_use import ModelInUse

_ENCODING = {STAGES[0], STAGES[3], SEGMENTATION, INGESTION}  # queues whose workers load an encoder
_OWN_PROPOSALS = {"superpixels", "cells"}  # made without a model
_BUNDLED = "bundled"  # as in tasks.encoders, whose import takes a while

Look = Callable[[str], "list[Device]"]


def _apart(wish: str) -> list[Device]:
    from tasks.encoders.devices import devices_apart  # noqa: PLC0415 -- keeps the start quick

    return devices_apart(wish)


def uses_device(settings: Settings, queues: Iterable[str]) -> bool:
    """Whether the worker of these queues computes with torch, so that ``settings.device`` matters to it."""
    consumed = set(queues)
    if settings.encoder != _BUNDLED:
        return bool(consumed & _ENCODING)
    return SEGMENTATION in consumed and segments_with_model(settings)


def segments_with_model(settings: Settings) -> bool:
    """Whether segmentation loads a model of its own: CLIPSeg or Segment Anything."""
    return settings.clipseg_model is not None or settings.proposals not in _OWN_PROPOSALS


def require_device(settings: Settings, queues: Iterable[str], look: Look = _apart) -> None:
    """Test the device that the settings name, if the worker of these queues uses it.

    Raises ``DeviceUnavailable``. Takes seconds for ``cuda`` and ``mps``, and no time for ``auto`` and ``cpu``.
    """
    if settings.device not in {"auto", "cpu"} and uses_device(settings, queues):
        look(settings.device)


def device_finder(settings: Settings) -> Callable[[str], Device] | None:
    """Finds the device for a wish, if some worker of these settings uses one."""
    if not uses_device(settings, QUEUES):
        return None
    from tasks.encoders.devices import choose  # noqa: PLC0415 -- as above

    return choose


def models_of_stack(settings: Settings) -> list[ModelInUse]:
    """The models of the stack that runs in this home; none if none runs. Raises ``StoreUnavailable``."""
    from workers.redis.connection import connect  # noqa: PLC0415 -- as above
    from workers.redis.keys import Keys  # noqa: PLC0415 -- as above
    from workers.redis.models_in_use import ModelBoard  # noqa: PLC0415 -- as above
    from workers.supervision.supervisor import read_stack  # noqa: PLC0415 -- as above
    from workers.wiring.clock import clock_of  # noqa: PLC0415 -- as above

    info = read_stack(settings.home)
    if info is None or "redis" not in info.addresses:
        return []
    client = connect(info.addresses["redis"], settings.key_prefix)
    clock = clock_of(info.addresses["redis"], settings.key_prefix)
    return ModelBoard(client, Keys(settings.key_prefix), "", clock).read()


def embedding_devices(
    settings: Settings, look: Look = _apart, machine: Machine | None = None
) -> list[str]:  # fmt: skip
    """A value of ``settings.device`` for each embedding worker of one machine: one worker a device.

    ``auto`` and ``cuda`` stand for all devices of CUDA. Raises ``DeviceUnavailable``.
    """
    if settings.encoder == _BUNDLED or settings.device not in {"auto", "cuda"} or settings.runtime != "auto":
        require_device(settings, STAGES, look)
        return [settings.device]
    from tasks.encoders.devices import Machine  # noqa: PLC0415 -- as above

    if settings.device == "auto" and (machine or Machine()).accelerator() is None:
        return [settings.device]
    found = look(settings.device)
    return [device.name for device in found] if len(found) > 1 else [settings.device]
