"""A fixed list of labels, each compared with the image only: the usual alternative to CaSED."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tasks.cache import LRUCache
from tasks.encoders.bundled import class_names
from tasks.encoders.protocols import TextEncoder
from tasks.evaluation.answers import SHOWN, Answer, Pictures
from tasks.message_parts import Floats, Tag
from tasks.ranking import DIGITS
from tasks.scoring import PLAIN, encode_words, probabilities
from vectordb.errors import Permanent

IMAGENET = "imagenet"
CHUNK = 512  # labels encoded between two progress reports


class BadVocabulary(Permanent):
    """The list of labels is not usable."""


@dataclass
class Vocabulary:
    """Zero-shot classification: the softmax (or sigmoid) of each image over all labels."""

    name: str
    labels: Sequence[str]
    encoder: TextEncoder
    prompts: tuple[str, ...] = PLAIN
    on_progress: Callable[[int, int], None] | None = None
    _vectors: Floats = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32), repr=False)

    def prepare(self) -> None:
        """Encode the labels."""
        forgetful, parts = LRUCache(0), []
        for begin in range(0, len(self.labels), CHUNK):
            part = self.labels[begin : begin + CHUNK]
            parts.append(encode_words(part, self.encoder, forgetful, self.prompts))
            if self.on_progress:
                self.on_progress(begin + len(part), len(self.labels))
        self._vectors = np.concatenate(parts)

    def answer(self, batch: Pictures) -> list[Answer]:
        """See ``Method``."""
        answers = []
        for similarities in batch.embedded.vectors.array() @ self._vectors.T:
            chances = probabilities(similarities.astype(np.float64), self.encoder.space).round(DIGITS).tolist()
            # by similarity: probabilities of unlikely labels round to the same number
            best = np.argsort(-similarities, kind="stable")[:SHOWN].tolist()
            tags = [Tag(self.labels[at], chances[at], chances[at], 0.0) for at in best]
            answers.append(Answer(tuple(tags), candidates=len(self.labels)))
        return answers


def read_labels(name: str) -> list[str]:
    """The labels of a text file, one per line, or ImageNet's thousand for ``imagenet``. Each once."""
    if name == IMAGENET:
        return list(dict.fromkeys(class_names()))
    try:
        text = Path(name).expanduser().read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise BadVocabulary(
            f"the list of labels {name!r} cannot be read ({exc.strerror}); give a text file with one label"
            f" per line, or {IMAGENET!r}"
        ) from exc
    except UnicodeDecodeError as exc:
        raise BadVocabulary(f"the list of labels {name!r} is not UTF-8 text") from exc
    labels = list(dict.fromkeys(label for label in (" ".join(line.split()) for line in text.splitlines()) if label))
    if not labels:
        raise BadVocabulary(f"the list of labels {name!r} is empty")
    return labels
