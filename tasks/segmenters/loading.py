"""Loads a segmentation model from a folder or the hub."""

from __future__ import annotations

from typing import Any

from tasks.encoders.devices import Device, placed
from tasks.encoders.hub import HubUnreachable, require_hub_for
from tasks.encoders.requirements import ModelNotLoaded, need, quiet_transformers, use_threads


def load(name: str, kind: str, threads: int | None, device: Device) -> tuple[Any, Any]:
    """The model ``kind`` (a class of transformers), on its device, and its image processor.

    In ``exact_dtype`` of the device: thresholds decide the result, and bfloat16 shifts borders. Raises
    ``ModelNotLoaded``, ``DeviceOutOfMemory``.
    """
    transformers = need("transformers", "transformers")
    quiet_transformers()
    use_threads(threads)
    try:
        require_hub_for(name)
        processor = transformers.AutoImageProcessor.from_pretrained(name)
        model, info = getattr(transformers, kind).from_pretrained(
            name, output_loading_info=True, dtype=device.exact_dtype
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, HubUnreachable) as exc:
        cause = str(exc).strip().partition("\n")[0]
        raise ModelNotLoaded(f"the model {name!r} could not be loaded as a {kind}: {cause}") from exc
    # the library initialises missing weights at random, for example with a model of another type
    if lacking := info["missing_keys"]:
        some = ", ".join(sorted(lacking)[:2])
        raise ModelNotLoaded(
            f"the model {name!r} is not a {kind}: {len(lacking)} of its weights are missing, such as {some}"
        )
    return placed(model, device), processor
