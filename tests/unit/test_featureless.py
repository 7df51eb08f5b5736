"""Shows that images without structure are recognised, whatever their size, and others are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from tasks.images.featureless import is_featureless
from tasks.images.small_grey import SmallGrey
from tasks.messages import Embedded
from tasks.pipeline import PipelineOptions, embedding
from tests.unit.stages.made_up import MadeUpImages, picture, submitted

WIDTH, HEIGHT = 320, 240
NAMES = ("one colour", "gradient", "radial gradient", "noise", "covered lens", "blank page", "heavy blur")


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


@pytest.mark.parametrize("name", NAMES)
def test_what_shows_nothing_is_recognised(name: str) -> None:
    assert is_featureless(made(name))
    assert is_featureless(made(name).resize((1600, 900)))


def test_what_shows_something_is_left_alone() -> None:
    assert not is_featureless(drawn())
    assert not is_featureless(drawn().resize((40, 30)))
    faint = Image.blend(drawn(), Image.new("RGB", (WIDTH, HEIGHT), (128, 128, 128)), 0.6)
    assert not is_featureless(faint)


def noisy(seed: int) -> Image.Image:
    """The drawing or nothing, fainter or blurred, below noise of some size."""
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(65, 900, 2))
    grain = int(rng.choice([1, 2, 3, 5, 8, 13]))
    noise = (
        rng.normal(0, rng.uniform(0, 60), (height // grain + 1, width // grain + 1)).repeat(grain, 0).repeat(grain, 1)
    )
    base = drawn().filter(ImageFilter.GaussianBlur(float(rng.choice([0, 2, 10, 40])))).resize((width, height))
    faint = np.asarray(base) * rng.uniform(0.0, 1.0) + 60 + noise[:height, :width, None]
    return Image.fromarray(np.clip(faint, 0, 255).astype(np.uint8))


@pytest.mark.long
def test_the_small_form_of_an_image_never_changes_the_answer() -> None:
    images = [noisy(seed) for seed in range(150)] + [made(name) for name in NAMES]
    answers = [is_featureless(image) for image in images]
    assert 30 < sum(answers) < 120
    assert [is_featureless(image, SmallGrey(image)) for image in images] == answers


def test_embedding_says_which_images_show_nothing_only_if_it_is_asked() -> None:
    def found(options: PipelineOptions) -> Embedded:
        return embedding(submitted(2), [picture((255, 0, 0)), b"no image"], MadeUpImages(), options)[0]

    assert found(PipelineOptions(detect_featureless=True)).featureless == (True,)
    assert found(PipelineOptions()).featureless == ()
