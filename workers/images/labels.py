"""What an image is found by in the index of images: the labels and the file name of its record."""

from __future__ import annotations

from tasks.labels.index_form import index_form
from tasks.search.words import words_of
from vectordb.images import ImageLabels
from workers.lifecycle.record import Record
from workers.lifecycle.tag_entries import segments, tag_entries


def labels_of(record: Record) -> ImageLabels:
    """The forms of the record's labels as tags, and as words with the words of its file name."""
    forms = tuple(entry.form for entry in tag_entries(record))
    return ImageLabels(record.bucket, record.key, record.etag, forms, words(record))


def words(record: Record) -> dict[str, float]:
    """The words by which a record is found, with weights; see ``tasks.search.words``."""
    captions = [evidence.caption for evidence in record.evidence]
    rejected = {index_form(label) for label in record.rejected or ()}
    found = words_of(
        [
            (tag.label, tag.strength, [captions[at] for at in tag.evidence if at < len(captions)])
            for tag in record.tags
        ],
        [(one.label, one.score, [evidence.caption for evidence in one.evidence]) for one in segments(record)],
        record.key,
    )
    return {word: weight for word, weight in found.items() if word not in rejected}
