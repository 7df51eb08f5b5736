"""What the stage of segmentation needs, made at its first use: only who segments needs scipy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from tasks.encoders.protocols import TextEncoder
from tasks.pipeline import Pipeline
from vectordb.captions import Caption
from workers.stages.caption_trials import CaptionTrials
from workers.stages.crash_journal import CrashJournal
from workers.stages.self_test import WORDS
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

        of_segmentation(self._journal.state.methods if self._journal else (), self.methods, self._harmless)()

    def _harmless(self) -> Pipeline:
        """Names whatever it is shown after one caption."""
        from vectordb.exact import ExactIndex  # noqa: PLC0415 -- needed after a crash only

        w, texts = self._wiring, self._text_encoder()
        index = ExactIndex(w.image_encoder.space.dimension)
        index.add([Caption.of(words) for words in WORDS], texts.encode(WORDS))
        return Pipeline(w.image_encoder, texts, index, "self-test", extractor=w.extractor, decode=w.decoders)

    def _note(self, method: str) -> None:
        if self._journal is not None and method not in self._journal.state.methods:
            self._journal.update(lambda state: state.methods.add(method))
