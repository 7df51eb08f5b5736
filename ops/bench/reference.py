"""``python -m ops.bench reference``: the method as wildtag computes it, against the paper's way of computing it.

Both use one CLIP ViT-B/32 with the same random weights, the same photographs, one at a time, and the same stages.
The paper's way (its reference implementation): float32, eager; for each image every retrieved caption and every
candidate word is encoded, padded to 77 tokens. Ours: the encoders as the workers load them; the vectors of captions
come from the index, and a word is encoded when it is seen for the first time.

Random weights find no sensible captions, so both sides get those that the bundled encoder retrieves for the
photograph from the captions of the home. Both search an index with the vector of the random model none the less.
``first`` is our first pass, with caches that are empty at its begin, ``again`` a second pass over the same
photographs, when all words are known, as most are in long operation.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from ops.bench.labelled import opened
from ops.bench.machine import machine, shown, spread, table, versions
from ops.bench.options import parser_of
from ops.bench.random_models import SHAPES, save_random
from ops.bench.varied import QUALITY, Varied
from tasks.encoders import load_image_encoder, load_text_encoder
from tasks.encoders.huggingface import HFImageEncoder
from tasks.encoders.protocols import Space, TextEncoder
from tasks.message_parts import ObjectRef, Tag
from tasks.pipeline import Pipeline, PipelineOptions
from tasks.vector_maths import unit
from vectordb.captions import Caption
from vectordb.errors import Permanent
from vectordb.exact import ExactIndex
from vectordb.index import CaptionSearch, Floats, Neighbours
from vectordb.starter import captions
from workers.settings.settings import Settings

TOKENS = 77
SEARCHED = 2000  # captions of the index that both sides search
TARGET = 25.0
THREADS = 2
MODEL = "random-vit-b-32"
VERSION = "starter@1"

messages = Console(stderr=True)


@dataclass(frozen=True)
class Sizes:
    """``photographs`` per round; the paper's way, a second each, is measured with the first ``theirs``."""

    rounds: int
    photographs: int
    theirs: int


class Padded:
    """A text encoder as the reference implementation uses it: each text padded to 77 tokens, float32, eager."""

    def __init__(self, folder: str, space: Space) -> None:
        import torch  # noqa: PLC0415 -- takes seconds
        from transformers import AutoTokenizer, CLIPTextModelWithProjection  # noqa: PLC0415 -- the same

        self.space = space
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        model: Any = CLIPTextModelWithProjection.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        )
        self._model = model.eval()
        self.calls = self.texts = 0

    def encode(self, texts: Sequence[str]) -> Floats:
        """Texts → (n, dimension) float32, unit length, in one batch."""
        import torch  # noqa: PLC0415 -- as above

        self.calls, self.texts = self.calls + 1, self.texts + len(texts)
        tokens = self._tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
        )
        with torch.inference_mode():
            made = self._model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).text_embeds
        return unit(made.numpy())


class Retrieved:
    """An index that searches another one, and then answers with ``answer``, the captions of one image.

    They are encoded now, as by the reference implementation.
    """

    def __init__(self, searched: CaptionSearch, encoder: TextEncoder) -> None:
        self._searched = searched
        self._encoder = encoder
        self.dimension = searched.dimension
        self.answer: Sequence[Caption] = ()

    def search(self, vectors: Floats, limit: int) -> list[Neighbours]:
        """For one vector."""
        self._searched.search(vectors, limit)
        found = list(self.answer[:limit])
        rows = self._vectors(found)
        similar = rows @ vectors[0]
        order = np.argsort(-similar, kind="stable")
        return [Neighbours(tuple(found[place] for place in order), similar[order], rows[order])]

    def _vectors(self, found: Sequence[Caption]) -> Floats:
        return self._encoder.encode([caption.text for caption in found])


class Stored(Retrieved):
    """The same with vectors that were encoded before, as in the index of captions."""

    def __init__(self, searched: CaptionSearch, encoder: TextEncoder, retrieved: Sequence[Sequence[Caption]]) -> None:
        super().__init__(searched, encoder)
        every = sorted({caption.text for found in retrieved for caption in found})
        self._stored = dict(zip(every, encoder.encode(every), strict=True))

    def _vectors(self, found: Sequence[Caption]) -> Floats:
        return np.stack([self._stored[caption.text] for caption in found])


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table or JSON."""
    chosen = _parser().parse_args(arguments)
    sizes = Sizes(1, 2, 1) if chosen.short else Sizes(chosen.rounds, chosen.photographs, chosen.theirs)
    found: dict[str, Any] = {"machine": machine(), "versions": versions(), "model": chosen.model}
    pictures = Varied()
    images = [pictures.picture() for _ in range(sizes.rounds * sizes.photographs)]
    found |= measured(chosen.model, images, captions_of(images), sizes)
    found["load_after"] = machine()["load"]
    if chosen.json:
        print(json.dumps(found))
    else:
        Console().print(table(found, "median (least to greatest)", _rows(found)))


def captions_of(images: Sequence[Image.Image]) -> list[list[Caption]]:
    """The captions that the encoder of the settings retrieves for each image."""
    with opened(Settings()) as (wiring, index):
        vectors = wiring.image_encoder.encode(images)
        found = index.search(vectors, PipelineOptions().limit)
    return [list(one.captions) for one in found]


def measured(
    model: str, images: Sequence[Image.Image], retrieved: Sequence[Sequence[Caption]], sizes: Sizes
) -> dict[str, Any]:
    """Milliseconds an image of both ways by rounds, and the ratios. ``model``: of ``ops.bench.random_models``."""
    took: dict[str, list[float]] = {"theirs": [], "first": [], "again": []}
    parts = [slice(at * sizes.photographs, (at + 1) * sizes.photographs) for at in range(sizes.rounds)]
    with tempfile.TemporaryDirectory(prefix="reference-") as folder:
        save_random(model, Path(folder))
        paper, fast = theirs(folder), ours(folder, retrieved)
        files = [_jpeg(image) for image in images]
        paper.tag(files[:1], retrieved[:1])  # loads what is loaded at the first use
        for number, part in enumerate(parts):
            some = slice(part.start, part.start + sizes.theirs)
            took["theirs"].append(paper.tag(files[some], retrieved[some]))
            took["first"].append(fast.tag(files[part], retrieved[part]))
            messages.print(f"round {number + 1} of {sizes.rounds}", highlight=False)
        took["again"] = [fast.tag(files[part], retrieved[part]) for part in parts]
    ratios = {
        name: spread([slow / fast for slow, fast in zip(took["theirs"], took[name], strict=True)])
        for name in ("first", "again")
    }
    return {
        "photographs": len(images), "texts_an_image": paper.texts_an_image(), "threads": THREADS,
        "ms": {name: spread(values) for name, values in took.items()}, "rounds_ms": took, "ratio": ratios,
        "reached": {name: one["median"] >= TARGET for name, one in ratios.items()},
    }  # fmt: skip


class Way:
    """One of the two ways. ``index`` is told which captions to answer with."""

    def __init__(self, pipeline: Pipeline, index: Retrieved) -> None:
        self._pipeline = pipeline
        self._index = index

    def tag(self, files: Sequence[bytes], retrieved: Sequence[Sequence[Caption]]) -> float:
        """Tag each file by itself. Returns milliseconds an image. Raises ``Permanent`` if one is not tagged."""
        begun = time.perf_counter()
        for data, found in zip(files, retrieved, strict=True):
            self.tagged(data, found)
        return 1000 * (time.perf_counter() - begun) / len(files)

    def tagged(self, data: bytes, retrieved: Sequence[Caption]) -> tuple[Tag, ...]:
        """The tags of one file. Raises as ``tag``."""
        self._index.answer = retrieved
        scored, faults = self._pipeline.run(self._pipeline.submit([ObjectRef("reference", "1", "")]), [data])
        if faults or not scored.tags[0]:
            raise Permanent(f"an image was not tagged: {faults}")
        return scored.tags[0]

    def texts_an_image(self) -> float:
        """Texts that were encoded for an image, if no vector is kept."""
        encoder = self._pipeline.text_encoder
        return encoder.texts / encoder.calls * 2 if isinstance(encoder, Padded) and encoder.calls else 0.0


class _Nothing:
    """A cache that keeps nothing."""

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return [None] * len(keys)

    def set_many(self, items: Mapping[str, bytes]) -> None:
        pass


def theirs(folder: str) -> Way:
    """The paper's way, with the model in this folder."""
    import torch  # noqa: PLC0415 -- takes seconds

    images = HFImageEncoder(folder, threads=THREADS, dtype=torch.float32)
    texts = Padded(folder, images.space)
    index = Retrieved(_searched(folder), texts)
    return Way(Pipeline(images, texts, index, VERSION, cache=_Nothing()), index)


def ours(folder: str, retrieved: Sequence[Sequence[Caption]]) -> Way:
    """Our way. ``retrieved``: all captions that it will be told of."""
    cache = Path(folder, "cache")
    images = load_image_encoder(folder, cache_dir=cache, threads=THREADS)
    texts = load_text_encoder(folder, cache_dir=cache, threads=THREADS)
    index = Stored(_searched(folder), texts, retrieved)
    return Way(Pipeline(images, texts, index, VERSION), index)


def _searched(folder: str) -> ExactIndex:
    """Starter captions with vectors of the model."""
    some = list(islice(captions(), SEARCHED))
    vectors = load_text_encoder(folder, cache_dir=Path(folder, "cache"), threads=THREADS).encode(
        [caption.text for caption in some]
    )
    index = ExactIndex(vectors.shape[1])
    index.add(some, vectors)
    return index


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    names = {"theirs": "the paper's way", "first": "ours, first pass", "again": "ours, second pass"}
    for key, name in names.items():
        yield f"{name}, an image", shown(found["ms"][key], "ms")
    yield "texts that the paper's way encodes for an image", f"{found['texts_an_image']:.1f}"
    for key, one in found["ratio"].items():
        yield f"the paper's way over {names[key]}", shown(one, "times", 1)


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("reference", __doc__, "2 photographs, one round")
    parser.add_argument("--model", choices=SHAPES, default=MODEL, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--photographs", type=int, default=24, help="per round, our way (default: %(default)s)")
    parser.add_argument(
        "--theirs", type=int, default=3, help="of them for the paper's way, a second each (default: %(default)s)"
    )
    return parser
