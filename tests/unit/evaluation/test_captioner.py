"""Shows that models of both families answer, without their question, and what is said of one that is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tasks.encoders.requirements import ModelNotLoaded
from tasks.evaluation.captioner import LONGEST, HFCaptioner, split
from tests.unit.evaluation.models import KINDS, save_captioner


@pytest.fixture(scope="module", params=KINDS)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp(request.param)
    save_captioner(folder, request.param)
    return str(folder)


def test_each_picture_gets_an_answer_without_the_question(saved: str) -> None:
    captioner = HFCaptioner(saved)
    pictures = [Image.new("RGB", (40 + at, 50), (40 * at, 9, 80)) for at in range(6)]
    answers = captioner.describe(pictures)
    assert len(answers) == 6
    for answer in answers:
        # the test's tokens are letters
        assert 0 < len(answer.replace(" ", "")) <= LONGEST
        assert "image" not in answer
    assert captioner.describe(pictures[:2]) == answers[:2]
    assert captioner.describe([]) == []


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")
    with pytest.raises(ModelNotLoaded, match=r"captioner '.*nothing' could not .* no such folder.*blip2"):
        HFCaptioner(missing)
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(ModelNotLoaded, match="could not be loaded"):
        HFCaptioner(str(tmp_path))


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    save_captioner(tmp_path, "blip-2")
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelNotLoaded, match="could not be loaded"):
        HFCaptioner(str(tmp_path))


@pytest.mark.parametrize(
    ("answer", "candidates"),
    [
        ("a dog, A Cat, a dog.", ["a dog", "a cat"]),
        ("bell pepper", ["bell pepper"]),
        (" , ,", ["object"]),
        ("", ["object"]),
        ("...", ["object"]),
    ],
)
def test_an_answer_is_split_at_its_commas(answer: str, candidates: list[str]) -> None:
    assert split(answer) == candidates
