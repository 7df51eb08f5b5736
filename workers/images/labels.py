"""What an image is found by in the index of images: the labels, the file name and the metadata of its record."""

from __future__ import annotations

from tasks.labels.index_form import index_form
from tasks.search.words import words_of
from vectordb.images import ImageLabels
from workers.lifecycle.record import Record
from workers.lifecycle.tag_entries import segments, tag_entries

# user metadata of rclone, s3cmd, s3fs, the AWS SDKs and others: times, owners, checksums and keys
OF_PROGRAMS = frozenset({
    "atime", "btime", "cb-modifiedtime", "crtime", "ctime", "file-group", "file-owner", "file-permissions", "gid",
    "gname", "md5", "md5chksum", "md5sum", "mode", "mtime", "s3b-last-modified", "s3cmd-attrs", "sha1", "sha256",
    "uid", "uname", "x-amz-iv", "x-amz-key", "x-amz-key-v2", "x-amz-matdesc", "x-amz-unencrypted-content-length",
    "x-amz-unencrypted-content-md5",
})  # fmt: skip


def labels_of(record: Record) -> ImageLabels:
    """The forms of the record's labels as tags, and as words with the words of its file name."""
    forms = tuple(entry.form for entry in tag_entries(record))
    return ImageLabels(record.bucket, record.key, record.etag, forms, words(record))


def written(record: Record) -> list[tuple[str, str]]:
    """What its owner wrote beside an object, by name, as search finds it: not what programs write for themselves."""
    found = [(name, text) for name, text in (record.metadata or {}).items() if name.lower() not in OF_PROGRAMS]
    return [("client_id", record.client_id), *found] if record.client_id else found


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
        [text for _, text in written(record)],
        record.file_name or "",
    )
    return {word: weight for word, weight in found.items() if word not in rejected}
