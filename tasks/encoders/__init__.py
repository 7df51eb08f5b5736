"""Encoders: convert images and texts to vectors of one space. Importing this loads no model and no torch.

``name`` is ``bundled``, the hub name of a CLIP or SigLIP model, or a folder with such a model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.encoders.protocols import Floats, ImageEncoder, Space, TextEncoder
from tasks.encoders.requirements import ModelNotLoaded
from tasks.encoders.runtimes import AUTO, in_space

if TYPE_CHECKING:
    from tasks.encoders.devices import Device

BUNDLED = "bundled"


def space_of(name: str, runtime: str = AUTO) -> Space:
    """The space of an encoder, without loading its model. Fast for ``bundled``.

    ``runtime``: one that is less exact than the others has a space of its own. See ``tasks.encoders.runtimes``.
    """
    if name == BUNDLED:
        from tasks.encoders.bundled import bundled_space  # noqa: PLC0415 - each family loads only its own

        return bundled_space()
    from tasks.encoders.checkpoint import read_space  # noqa: PLC0415 - as above

    return in_space(read_space(name), runtime)


def load_image_encoder(
    name: str,
    *,
    cache_dir: Path,
    threads: int | None = None,
    test_time_augmentation: bool = False,
    device: str = "auto",
    runtime: str = AUTO,
) -> ImageEncoder:
    """Load only the image side of an encoder. ``threads``: number of CPU threads.

    ``device``: see ``tasks.encoders.devices``; the bundled encoder always computes on the CPU. Raises
    ``DeviceUnavailable``. ``test_time_augmentation``: the bundled encoder averages an image and its mirror image. The
    space does not change, so captions keep their vectors. Other encoders ignore it. ``runtime``: on a CPU, one of
    ``tasks.encoders.runtimes``; ``auto`` takes what was measured on this machine. The bundled encoder has only one.
    """
    from tasks.encoders.tuning.remembered import bundled_plan, plan_for  # noqa: PLC0415 - imports msgspec

    if name == BUNDLED:
        from tasks.encoders.bundled import BundledImageEncoder, bundled_space  # noqa: PLC0415 - as above

        sizes = bundled_plan(cache_dir, bundled_space().id, "image", threads)
        return BundledImageEncoder(cache_dir, threads=threads, mirrored=test_time_augmentation, plan=sizes)
    from tasks.encoders.huggingface import HFImageEncoder  # noqa: PLC0415 - as above

    chosen = _device(device, runtime)
    plan = None if chosen.accelerated else plan_for(cache_dir, space_of(name).id, "image", runtime, threads)
    return HFImageEncoder(name, threads=threads, device=chosen, plan=plan, cache_dir=cache_dir)


def reference_vectors(name: str, *, cache_dir: Path) -> Floats | None:
    """Reference vectors (m, dimension) of images of every kind; ``None`` if there are none.

    For ``bundled`` they are the vectors of the classes, read from the disk cache that both encoders fill. The
    sentence model is loaded only if the cache is empty.
    """
    if name != BUNDLED:
        return None
    from tasks.encoders.bundled import class_vectors  # noqa: PLC0415 - as above

    return class_vectors(cache_dir)[1]


def load_text_encoder(
    name: str, *, cache_dir: Path, threads: int | None = None, device: str = "auto", runtime: str = AUTO
) -> TextEncoder:
    """Load only the text side of an encoder. For ``threads`` to ``runtime`` see ``load_image_encoder``."""
    from tasks.encoders.tuning.remembered import bundled_plan, plan_for  # noqa: PLC0415 - as above

    if name == BUNDLED:
        from tasks.encoders.bundled import BundledTextEncoder, bundled_space  # noqa: PLC0415 - as above

        sizes = bundled_plan(cache_dir, bundled_space().id, "text", threads)
        return BundledTextEncoder(cache_dir, threads=threads, plan=sizes)
    from tasks.encoders.huggingface import HFTextEncoder  # noqa: PLC0415 - as above

    chosen = _device(device, runtime)
    plan = None if chosen.accelerated else plan_for(cache_dir, space_of(name).id, "text", runtime, threads)
    return HFTextEncoder(name, threads=threads, device=chosen, plan=plan, cache_dir=cache_dir)


def _device(wish: str, runtime: str) -> Device:
    """The device of an encoder. Raises ``DeviceUnavailable``, and ``ModelNotLoaded`` if the runtime needs a CPU."""
    from tasks.encoders.devices import CPU, choose  # noqa: PLC0415 - as above

    if runtime == AUTO:
        return choose(wish)
    if wish not in {AUTO, CPU}:
        raise ModelNotLoaded(
            f"the runtime {runtime} computes on the CPU, not on the device {wish}: set WILDTAG_RUNTIME=auto or"
            " WILDTAG_DEVICE=cpu"
        )
    return choose(CPU)
