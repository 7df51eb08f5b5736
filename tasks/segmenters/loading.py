"""A segmentation model from a folder or the hub, ready to look at pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.encoders.requirements import ModelNotLoaded, need, quiet_transformers, use_threads

if TYPE_CHECKING:
    import torch


def load(name: str, kind: str, threads: int | None) -> tuple[torch.nn.Module, Any]:
    """The model ``kind`` (a class of transformers) and its image processor. Raises ``ModelNotLoaded``.

    In float32: what is drawn is decided by thresholds, and half precision moves borders.
    """
    transformers = need("transformers", "transformers")
    quiet_transformers()
    use_threads(threads)
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(name)
        model: torch.nn.Module = getattr(transformers, kind).from_pretrained(name)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as exc:
        cause = str(exc).strip().partition("\n")[0]
        raise ModelNotLoaded(f"the model {name!r} could not be loaded as a {kind}: {cause}") from exc
    return model.eval().requires_grad_(requires_grad=False), processor
