"""Class-agnostic proposals of a Segment Anything model (Kirillov et al., ICCV 2023).

The library's own ``mask-generation`` pipeline needs torchvision to remove duplicates, which has no build for torch on
the CPU. So the model is called directly with a grid of points, and the few masks are compared here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tasks.encoders.batch_size import batch_size
from tasks.encoders.devices import Device, choose, device_errors
from tasks.model_description import Description
from tasks.segmentation.results import Mask
from tasks.segmenters.loading import load

POINTS = 16  # points per side of the grid
AT_ONCE = 64  # points per batch
LEAST_SCORE = 0.88  # minimum quality that the model predicts for a mask, as in the original
LEAST_STABLE = 0.95  # minimum overlap of a mask with itself one logit higher and lower, as in the original
DIFFERENT = 0.7  # masks with a higher overlap of their union are duplicates, as in the original
MOST = 256  # maximum number of masks that are compared


class SegmentAnything:
    """A ``Proposer``: masks for a grid of points, most certain first."""

    def __init__(
        self,
        name: str,
        *,
        threads: int | None = None,
        points: int = POINTS,
        least_score: float = LEAST_SCORE,
        least_stable: float = LEAST_STABLE,
        device: Device | None = None,
    ) -> None:
        """``device``: by default the best one. Raises ``ModelNotLoaded``, ``DeviceUnavailable``."""
        self._device = device or choose()
        self._model, self._processor = load(name, "SamModel", threads, self._device)
        self._batch = batch_size(self._device, AT_ONCE)
        self._points, self._score, self._stable = points, least_score, least_stable

    @property
    def description(self) -> Description:
        """See ``Described``. The batch is one of points."""
        return self._device.described(self._batch.size, self._model.dtype)

    def propose(self, image: Image.Image) -> Sequence[Mask]:
        """See ``Proposer.propose``. Raises ``DeviceOutOfMemory``, ``DeviceFailed``."""
        import torch  # noqa: PLC0415 -- torch is loaded only when needed

        inputs = self._processor(image, return_tensors="pt")
        high, wide = inputs["reshaped_input_sizes"][0].tolist()
        y, x = np.indices((self._points, self._points)).reshape(2, -1) + 0.5
        grid = torch.tensor(np.stack([x * wide, y * high], axis=1) / self._points, dtype=torch.float32)

        def masks_of(part: slice) -> tuple[torch.Tensor, torch.Tensor]:
            """The scores and logits of the good masks of some points, on the CPU."""
            found = self._model(input_points=grid[part, None][None].to(self._device.name), image_embeddings=seen)
            masks, sure = found.pred_masks[0].flatten(0, 1).float(), found.iou_scores[0].flatten().float()
            steady = (masks > 1).sum((1, 2)) / (masks > -1).sum((1, 2)).clamp(min=1)
            good = (sure >= self._score) & (steady >= self._stable)
            return sure[good].cpu(), masks[good].cpu()

        with device_errors(self._device), torch.inference_mode():
            pixels = inputs["pixel_values"].to(self._device.name, self._model.dtype)
            (seen,) = self._batch.parts(1, lambda _: self._model.get_image_embeddings(pixels))
            scores, logits = zip(*self._batch.parts(len(grid), masks_of), strict=True)
            sure, masks = torch.cat(scores), torch.cat(logits)
            order = torch.argsort(sure, descending=True, stable=True)[:MOST]
            chosen = masks[_distinct((masks[order] > 0).flatten(1).numpy(), order.tolist())]
            if not len(chosen):
                return []
            sizes = inputs["original_sizes"], inputs["reshaped_input_sizes"]
            # as one image with one point each: (1, n, height, width)
            full = self._processor.post_process_masks([chosen[None]], sizes[0], sizes[1])[0]
        return list(full[0].numpy().astype(bool))


def _distinct(masks: Mask, numbers: Sequence[int]) -> list[int]:
    """Of masks (n, pixels) in order, the numbers of those that are not duplicates of earlier ones."""
    packed = masks.astype(np.float32)
    shared = packed @ packed.T
    areas = packed.sum(axis=1)
    kept: list[int] = []
    for row in np.flatnonzero(areas):
        union = areas[kept] + areas[row] - shared[row, kept]
        if not kept or (shared[row, kept] / union).max() <= DIFFERENT:
            kept.append(int(row))
    return [numbers[row] for row in kept]
