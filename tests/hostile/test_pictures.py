"""Whatever people drop is read right or refused with the right code, and never shown wrong without a word."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tasks.images import BadImage, decode
from tests.hostile import depths, files, layouts, metadata, refused
from tests.hostile.picture import Case, difference

CASES = [case for module in (metadata, depths, layouts, files, refused) for case in module.cases()]


def test_names_are_unique_and_there_are_many() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert len(names) >= 150


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_made_files(case: Case) -> None:
    data = case.make()
    outcome = case.outcome
    if case.needs and find_spec(case.needs) is None:
        outcome = "unsupported"
    if outcome == "done":
        image = decode(data)
        assert image.mode == "RGB"
        if case.looks is not None:
            assert difference(image, case.looks()) <= case.within
        return
    with pytest.raises(BadImage) as caught:
        decode(data)
    assert caught.value.code == outcome, str(caught.value)
    assert case.says.lower() in str(caught.value).lower()
