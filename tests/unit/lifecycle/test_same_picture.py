"""A statement holds for the picture that it is about, also edited, turned or compressed, and for no other."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image, ImageEnhance, ImageOps

from tasks.images.perceptual_hash import perceptual_hash
from tests.acceptance.images import photograph
from tests.unit.duplicates import drawings
from tests.unit.lifecycle.statements_samples import said
from workers.lifecycle.composing import holding, same_picture


def shown(name: str) -> Image.Image:
    return Image.open(io.BytesIO(photograph(name))).convert("RGB")


def number(image: Image.Image) -> bytes:
    found = perceptual_hash(image)
    assert found is not None
    return found


def compressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return Image.open(file).convert("RGB")


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "compressed": compressed,
    "smaller": lambda image: image.resize((image.width // 3, image.height // 3)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "upside down": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "mirrored": ImageOps.mirror,
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_was_said_holds_for_the_same_picture(edit: str) -> None:
    picture = shown("chelsea.png")
    statement = said("Chelsea", etag="e1", number=number(picture))
    assert holding([statement], "e2", number(EDITS[edit](picture))) == [statement]


@pytest.mark.parametrize("other", ["coffee.png", "rocket.jpg", "astronaut.png"])
def test_what_was_said_does_not_hold_for_another_picture_under_the_same_key(other: str) -> None:
    statement = said("Chelsea", etag="e1", number=number(shown("chelsea.png")))
    assert holding([statement], "e2", number(shown(other))) == []


def test_what_was_said_of_a_form_holds_for_its_copies_but_not_for_another_form_of_that_layout() -> None:
    forms = [drawings.form(seed) for seed in range(6)]
    statement = said("Alice's invoice", etag="e1", number=number(forms[0]))
    assert [holding([statement], "e2", number(other)) for other in forms[1:]] == [[]] * 5
    assert holding([statement], "e2", number(compressed(forms[0]))) == [statement]
    assert holding([statement], "e2", number(forms[0].transpose(Image.Transpose.ROTATE_180))) == [statement]


def test_without_hashes_it_holds_for_the_same_version_only() -> None:
    statement = said("Chelsea", etag="e1")
    assert holding([statement], "e1", None) == [statement]
    assert holding([statement], "e2", None) == []
    assert not same_picture(None, None)
    assert not same_picture(number(shown("coffee.png")), None)
