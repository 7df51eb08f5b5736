"""Class-agnostic proposals of a Segment Anything model (Kirillov et al., ICCV 2023).

The library's own ``mask-generation`` pipeline wants torchvision to drop copies, which has no build that fits torch's
for the CPU. So the model is asked directly, by a grid of points, and masks are few enough to be compared as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tasks.segmentation.results import Mask
from tasks.segmenters.loading import load

POINTS = 16  # a side of the grid of points
AT_ONCE = 64  # points
LEAST_SCORE = 0.88  # of what the model expects of a mask, as in the original
LEAST_STABLE = 0.95  # of what a mask shares with itself one logit higher and lower, as in the original
DIFFERENT = 0.7  # masks that share so much of their union are copies, as in the original
MOST = 256  # masks that are compared


class SegmentAnything:
    """A ``Proposer``: masks under a grid of points, those that the model is surest of first."""

    def __init__(
        self,
        name: str,
        *,
        threads: int | None = None,
        points: int = POINTS,
        least_score: float = LEAST_SCORE,
        least_stable: float = LEAST_STABLE,
    ) -> None:
        """Raises ``ModelNotLoaded``."""
        self._model, self._processor = load(name, "SamModel", threads)
        self._points, self._score, self._stable = points, least_score, least_stable

    def propose(self, image: Image.Image) -> Sequence[Mask]:
        """See ``Proposer.propose``."""
        import torch  # noqa: PLC0415 -- torch is loaded by those who need it

        inputs = self._processor(image, return_tensors="pt")
        high, wide = inputs["reshaped_input_sizes"][0].tolist()
        y, x = np.indices((self._points, self._points)).reshape(2, -1) + 0.5
        grid = torch.tensor(np.stack([x * wide, y * high], axis=1) / self._points, dtype=torch.float32)
        scores, logits = [], []
        with torch.inference_mode():
            # untyped in the library
            seen = self._model.get_image_embeddings(inputs["pixel_values"])  # type: ignore[operator]
            for begin in range(0, len(grid), AT_ONCE):
                points = grid[begin : begin + AT_ONCE, None][None]
                found = self._model(input_points=points, image_embeddings=seen)
                masks, sure = found.pred_masks[0].flatten(0, 1), found.iou_scores[0].flatten()
                steady = (masks > 1).sum((1, 2)) / (masks > -1).sum((1, 2)).clamp(min=1)
                good = (sure >= self._score) & (steady >= self._stable)
                scores.append(sure[good])
                logits.append(masks[good])
            sure, masks = torch.cat(scores), torch.cat(logits)
            order = torch.argsort(sure, descending=True, stable=True)[:MOST]
            chosen = masks[_distinct((masks[order] > 0).flatten(1).numpy(), order.tolist())]
            if not len(chosen):
                return []
            sizes = inputs["original_sizes"], inputs["reshaped_input_sizes"]
            # one "image" of one point each: (1, n, height, width)
            full = self._processor.post_process_masks([chosen[None]], sizes[0], sizes[1])[0]
        return list(full[0].numpy().astype(bool))


def _distinct(masks: Mask, numbers: Sequence[int]) -> list[int]:
    """Of masks (n, pixels) in order, the numbers of those that are no copies of one before."""
    packed = masks.astype(np.float32)
    shared = packed @ packed.T
    areas = packed.sum(axis=1)
    kept: list[int] = []
    for row in np.flatnonzero(areas):
        union = areas[kept] + areas[row] - shared[row, kept]
        if not kept or (shared[row, kept] / union).max() <= DIFFERENT:
            kept.append(int(row))
    return [numbers[row] for row in kept]
