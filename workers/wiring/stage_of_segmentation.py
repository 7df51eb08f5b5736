"""What the stage of segmentation needs, made at its first use: only who segments needs scipy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from tasks.encoders.protocols import TextEncoder
from workers.stages.caption_trials import CaptionTrials
from workers.stages.crash_journal import CrashJournal
from workers.wiring.wiring import Wiring

if TYPE_CHECKING:
    from workers.stages.segmenter import Segmenter
    from workers.wiring.segmentation import SegmentationMethods


class StageOfSegmentation:
    """Of one process. ``journal``: has the methods that this process and those before it used."""

    def __init__(
        self,
        wiring: Wiring,
        text_encoder: Callable[[], TextEncoder],
        captions: CaptionTrials,
        journal: CrashJournal | None,
    ) -> None:
        self._wiring = wiring
        self._text_encoder = text_encoder
        self._captions = captions
        self._journal = journal

    @cached_property
    def methods(self) -> SegmentationMethods:
        """The segmentation methods."""
        from workers.wiring import segmentation  # noqa: PLC0415 -- see above

        return segmentation.SegmentationMethods(self._wiring.settings, self._note)

    @cached_property
    def segmenter(self) -> Segmenter:
        """Segments objects, and cleans up."""
        from workers.wiring import segmentation  # noqa: PLC0415 -- see above

        return segmentation.segmenter(self._wiring, self.methods, self._captions)

    def models(self) -> Mapping[str, object]:
        """The models that are loaded, by their role."""
        return self.methods.models if "methods" in vars(self) else {}

    def test(self) -> None:
        """See ``workers.stages.self_test``."""
        from workers.stages.self_test_of_segmentation import of_segmentation  # noqa: PLC0415 -- see above

        w, used = self._wiring, self._journal.state.methods if self._journal else ()
        of_segmentation(used, self.methods, lambda: w.image_encoder, self._text_encoder, lambda: w.extractor)()

    def _note(self, method: str) -> None:
        if self._journal is not None and method not in self._journal.state.methods:
            self._journal.update(lambda state: state.methods.add(method))
