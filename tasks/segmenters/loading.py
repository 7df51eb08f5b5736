"""Loads a segmentation model from a folder or the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.encoders.hub import HubUnreachable, require_hub_for
from tasks.encoders.requirements import ModelNotLoaded, need, quiet_transformers, use_threads

if TYPE_CHECKING:
    import torch


def load(name: str, kind: str, threads: int | None) -> tuple[torch.nn.Module, Any]:
    """The model ``kind`` (a class of transformers) and its image processor. Raises ``ModelNotLoaded``.

    In float32: thresholds decide the result, and half precision shifts borders.
    """
    transformers = need("transformers", "transformers")
    quiet_transformers()
    use_threads(threads)
    try:
        require_hub_for(name)
        processor = transformers.AutoImageProcessor.from_pretrained(name)
        model, info = getattr(transformers, kind).from_pretrained(name, output_loading_info=True)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, HubUnreachable) as exc:
        cause = str(exc).strip().partition("\n")[0]
        raise ModelNotLoaded(f"the model {name!r} could not be loaded as a {kind}: {cause}") from exc
    # the library initialises missing weights at random, for example with a model of another type
    if lacking := info["missing_keys"]:
        some = ", ".join(sorted(lacking)[:2])
        raise ModelNotLoaded(
            f"the model {name!r} is not a {kind}: {len(lacking)} of its weights are missing, such as {some}"
        )
    ready: torch.nn.Module = model.eval().requires_grad_(requires_grad=False)
    return ready, processor
