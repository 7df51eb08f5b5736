"""A segmentation method whose model cannot be loaded."""

from __future__ import annotations

from typing import NoReturn

import pytest

from tasks.encoders.requirements import MissingPackage, ModelNotLoaded
from workers.errors.consequences import Consequence, of
from workers.segmentation.methods import MethodUnavailable
from workers.settings.settings import Settings
from workers.wiring.segmentation import SegmentationMethods


@pytest.mark.parametrize("kind", [MissingPackage, ModelNotLoaded])
def test_it_fails_the_images_that_ask_for_it_and_holds_up_no_other(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: object) -> NoReturn:
        raise kind("not there")

    methods = SegmentationMethods(Settings())
    monkeypatch.setattr(SegmentationMethods, "_proposer", missing)
    with pytest.raises(MethodUnavailable, match="not there") as raised:
        methods("regions")
    assert of(raised.value).consequence is Consequence.REFUSE
    assert methods("dense") is not None
