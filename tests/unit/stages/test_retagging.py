"""A batch of images that were tagged before: those whose vectors are gone are embedded in small batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from tasks.message_parts import ObjectRef
from tasks.messages import Submitted
from tasks.pipeline import PipelineOptions
from tests.unit.stages.made_up import SPACE, embedded, random_units
from tests.unit.stages.test_thresholds import Indexes, Taken
from vectordb.image_folder import FolderImages
from workers.captions.versions import OpenIndexes
from workers.images.open_images import OpenImages
from workers.stages.handover import Handover
from workers.stages.work import Retrieval


def test_images_without_vectors_are_embedded_in_batches_of_the_usual_size(tmp_path: Path) -> None:
    taken = Taken()
    retrieval = Retrieval(
        cast("OpenIndexes", Indexes()),
        OpenImages(lambda: FolderImages(tmp_path), "space", SPACE.dimension),
        lambda: "2",
        None,
        PipelineOptions(),
        cast("Handover", taken),
        embedded_at_once=2,
    )
    refs = tuple(ObjectRef("photos", f"{n}.jpg", "e") for n in range(5))
    retrieval(Submitted(objects=refs, revision=embedded(random_units(1, 2)).revision), cast("Any", None))
    assert [message.objects for message in taken.messages] == [refs[:2], refs[2:4], refs[4:]]
    assert all(isinstance(message, Submitted) for message in taken.messages)
