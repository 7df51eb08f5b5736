"""Images → the inputs of a vision model, on its device; the next batch is prepared while the device computes.

Threads resize and crop with the model's own image processor. Images go to the device as bytes, and are scaled and
normalised there: a quarter of the transfer, and on a CPU a third less time than one image after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from PIL import Image

from tasks.encoders.devices import Device
from tasks.encoders.requirements import cores

if TYPE_CHECKING:
    import torch

_MOST_THREADS = 16
_PIXELS = "pixel_values"


class Pixels:
    """Prepares images with an image processor of ``transformers``."""

    def __init__(self, processor: Any, device: Device, dtype: torch.dtype, side: int) -> None:
        """``dtype``: of the pixels that the model takes. ``side``: of its input, in pixels."""
        self._processor = processor
        self._device = device
        self.dtype = dtype
        # beside a model on the CPU, which uses all cores, one thread is enough
        threads = min(_MOST_THREADS, max(1, cores() - 1)) if device.accelerated else 1
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="pixels")
        self._options: dict[str, Any] = {}
        self._scale = self._scaling(Image.new("RGB", (side, side)))

    def batches(
        self, images: Sequence[Image.Image], size: Callable[[], int]
    ) -> Iterator[tuple[int, list[dict[str, torch.Tensor]]]]:
        """Yield the index of the first image of each batch, and what ``prepared`` gives for its images.

        ``size``: the number of images of the next batch.
        """
        begin, waiting = 0, self._submitted(images[: size()])
        while waiting:
            prepared = [one.result() for one in waiting]
            stop = begin + len(waiting)
            waiting = self._submitted(images[stop : stop + size()])
            yield begin, prepared
            begin = stop

    def moved(self, prepared: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """Prepared images as one batch on the device. Does not wait for the transfer."""
        import torch  # noqa: PLC0415 - torch is loaded only when needed

        inputs: dict[str, torch.Tensor] = {}
        for name in prepared[0]:
            value = torch.cat([one[name] for one in prepared])
            if self._device.kind == "cuda":
                value = value.pin_memory()
            inputs[name] = value.to(self._device.name, non_blocking=True)
        pixels = inputs[_PIXELS]
        if self._scale is not None:
            pixels = torch.addcmul(self._scale[1], pixels.float(), self._scale[0])
        if self._device.kind == "cuda" and pixels.dim() == 4:  # batch, channels, height, width
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        inputs[_PIXELS] = pixels.to(self.dtype)
        return inputs

    def prepared(self, image: Image.Image) -> dict[str, torch.Tensor]:
        """The inputs of one image, a batch of one, on the CPU; bytes if the device is to scale them."""
        return dict(self._processor(image, return_tensors="pt", **self._options))

    def _submitted(self, images: Sequence[Image.Image]) -> list[Any]:
        return [self._threads.submit(self.prepared, image) for image in images]

    def _scaling(self, sample: Image.Image) -> tuple[torch.Tensor, torch.Tensor] | None:
        """The factor and the summand of each channel, if scaling can be left to the device; otherwise ``None``."""
        import torch  # noqa: PLC0415 - as above

        of = self._processor
        mean, deviation = (
            torch.tensor(getattr(of, name, None) or [], dtype=torch.float64) for name in _NORMALISATION
        )
        if not (
            getattr(of, "do_rescale", False)
            and getattr(of, "do_normalize", False)
            and len(mean) == len(deviation) == 3
        ):
            return None
        self._options = {"do_rescale": False, "do_normalize": False}
        made = self.prepared(sample)
        if made.keys() != {_PIXELS} or made[_PIXELS].dtype is not torch.uint8 or made[_PIXELS].shape[:2] != (1, 3):
            self._options = {}
            return None
        scale = float(of.rescale_factor) / deviation
        parts = (scale, -mean / deviation)
        factor, summand = (part.float().reshape(1, 3, 1, 1).to(self._device.name) for part in parts)
        return factor, summand


_NORMALISATION = ("image_mean", "image_std")
