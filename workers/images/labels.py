"""What an image is found by in the index of images: the labels and the file name of its record."""

from __future__ import annotations

import re

from tasks.labels.index_form import index_form
from vectordb.images import ImageLabels
from workers.lifecycle.record import Record
from workers.lifecycle.tag_entries import SEGMENT, TAG, tag_entries

NAME = 0.5  # weight of a word of the file name
IMPLIED = 0.7  # factor for labels that a tag implies, and for labels of segments

_WORDS = re.compile(r"[^\W\d_]{2,}")


def labels_of(record: Record) -> ImageLabels:
    """The forms of the record's labels as tags, and as words with the words of its file name."""
    entries = tag_entries(record)
    words = dict.fromkeys(name_words(record.key), NAME)
    for entry in entries:
        kind = TAG if entry.rank >= TAG else SEGMENT if entry.rank >= SEGMENT else 0
        weight = (entry.rank - kind) * (1 if kind == TAG else IMPLIED)
        words[entry.form] = max(words.get(entry.form, 0.0), weight)
    positive = {word: weight for word, weight in words.items() if weight > 0}
    return ImageLabels(record.bucket, record.key, record.etag, tuple(entry.form for entry in entries), positive)


def name_words(key: str) -> list[str]:
    """The words of a key without its extension, as index forms: ``2024/My_Cat-2.jpg`` has ``my`` and ``cat``."""
    stem, dot, extension = key.rpartition(".")
    name = stem if dot and "/" not in extension else key
    return list(dict.fromkeys(index_form(word) for word in _WORDS.findall(name)))
