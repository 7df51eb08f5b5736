"""Shows that images without structure are recognised, whatever their size, and others are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from tasks.images.featureless import is_featureless
from tasks.messages import Embedded
from tasks.pipeline import PipelineOptions, embedding
from tests.unit.stages.made_up import MadeUpImages, picture, submitted

WIDTH, HEIGHT = 320, 240


def drawn() -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT), (120, 160, 200))
    draw = ImageDraw.Draw(image)
    draw.ellipse((80, 60, 200, 180), fill=(200, 60, 40))
    draw.rectangle((220, 100, 300, 220), fill=(30, 90, 30))
    return image


def made(name: str) -> Image.Image:
    draw = np.random.default_rng(1)
    y, x = np.indices((HEIGHT, WIDTH))
    pixels = {
        "one colour": np.full((HEIGHT, WIDTH), 130.0),
        "gradient": 255.0 * x / WIDTH,
        "radial gradient": 255 - 255 * np.hypot(x - 100, y - 90) / 400,
        "noise": draw.uniform(0, 256, (HEIGHT, WIDTH)),
        "covered lens": np.abs(draw.normal(4, 3, (HEIGHT, WIDTH))),
        "blank page": 245 + draw.normal(0, 1, (HEIGHT, WIDTH)),
    }
    if name == "heavy blur":
        return drawn().filter(ImageFilter.GaussianBlur(40))
    return Image.fromarray(np.clip(pixels[name], 0, 255).astype(np.uint8)).convert("RGB")


@pytest.mark.parametrize(
    "name",
    ["one colour", "gradient", "radial gradient", "noise", "covered lens", "blank page", "heavy blur"],
)
def test_what_shows_nothing_is_recognised(name: str) -> None:
    assert is_featureless(made(name))
    assert is_featureless(made(name).resize((1600, 900)))


def test_what_shows_something_is_left_alone() -> None:
    assert not is_featureless(drawn())
    assert not is_featureless(drawn().resize((40, 30)))
    faint = Image.blend(drawn(), Image.new("RGB", (WIDTH, HEIGHT), (128, 128, 128)), 0.6)
    assert not is_featureless(faint)


def test_embedding_says_which_images_show_nothing_only_if_it_is_asked() -> None:
    def found(options: PipelineOptions) -> Embedded:
        return embedding(submitted(2), [picture((255, 0, 0)), b"no image"], MadeUpImages(), options)[0]

    assert found(PipelineOptions(detect_featureless=True)).featureless == (True,)
    assert found(PipelineOptions()).featureless == ()
