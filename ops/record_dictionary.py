"""Trains the dictionary that compresses the bodies of records: ``python -m ops.record_dictionary FILE``.

The samples are made-up records of many kinds, from the starter captions and from sentences as people write them. The
same version of zstd makes the same file each time. A released dictionary must stay: give a new one the next number
(``workers.lifecycle.record_dictionary``).
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ops.bench.made_up_records import Concept, MadeUpRecords, concepts
from tasks.message_parts import Likeness, MediaWarning, Tag, Unknown
from tasks.segmentation.results import Evidence as Named
from tasks.segmentation.results import RunLengths, Segment
from vectordb.zstd import train_dict
from workers.lifecycle.record import ArtifactKeys, Error, Evidence, Label, Record, Segmentation
from workers.lifecycle.stored_record import plain_body, rows_of

BYTES = 16_384  # half of it would make records 2 % larger, twice of it 1 % smaller
SEEDS = (11, 12, 13)  # not those of the benchmark
EACH = 1200
AT = 1_790_000_000.0
SUPPORTED = (
    "a supported format (AVIF, BMP, GIF, ICO, JPEG, JPEG 2000, PNG, PPM, TIFF, WebP, HEIC, JPEG XL, camera raw)"
)
ERRORS = (
    ("not-an-image", f"neither its name nor its content is that of an image: not an image in {SUPPORTED}"),
    ("truncated", "the image is truncated: 12345 of 67890 bytes could be read"),
    ("damaged", "the image is damaged: broken data stream when reading image file"),
    ("empty", "the object is empty"),
    ("too-large", "the object has 123456789 bytes; the limit is 104857600"),
    ("too-many-pixels", "the image has 123456789 pixels; the limit is 100000000"),
    ("poisonous", "4 attempts, none finished: it may crash the worker"),
    ("gave-up", "gave up after 24 hours; last error: the object store is unavailable: connection refused"),
    ("not-followed", "objects of type text/plain are not followed"),
)  # fmt: skip
SENTENCES = (
    "a man riding a {0} down the street", "two people sitting at a table with a {0} and a {1}", "a close up of a {0}",
    "a {0} standing next to a {1} in a field", "a photo of a {0}", "a woman holding a {0} in her hand",
    "a black and white photo of a {0}", "a {0} on top of a wooden table", "a group of people standing around a {0}",
    "a view of the {0} from the {1}", "the {0} is parked in front of a {1}", "a small {0} with a large {1} on it",
    "a plate of food with {0} and {1}", "a living room with a {0}, a {1} and a window", "a young boy with a {0}",
)  # fmt: skip


def main() -> None:
    """Train it and write it."""
    parser = argparse.ArgumentParser(prog="python -m ops.record_dictionary", description=__doc__)
    parser.add_argument("file", type=Path, help="workers/lifecycle/record_dictionaries/N.zdict")
    file: Path = parser.parse_args().file
    content = trained()
    file.write_bytes(content)
    print(f"{file}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


def trained() -> bytes:
    """The dictionary."""
    return train_dict([plain_body(record, rows_of(record), AT) for record in samples()], BYTES).dict_content


def samples() -> Iterator[Record]:
    """Records of all kinds; those that are tagged are the most frequent ones."""
    for seed in SEEDS:
        pick = random.Random(seed)
        known = concepts(seed)
        for plain in (True, False):
            for number, record in enumerate(MadeUpRecords(seed, plain=plain).records(EACH, AT)):
                shown = _described(record, known, pick) if number % 2 else record
                yield shown if number % 4 else _other(shown, known, pick)


def _described(record: Record, known: list[Concept], pick: random.Random) -> Record:
    """The record with captions as people write them."""
    evidence = []
    for one in record.evidence:
        labels = (concept.label.lower() for concept in pick.choices(known, k=2))
        evidence.append(Evidence(pick.choice(SENTENCES).format(*labels), one.similarity))
    return msgspec.structs.replace(record, evidence=tuple(evidence))


def _other(record: Record, known: list[Concept], pick: random.Random) -> Record:
    """A record of one of the less frequent kinds."""
    return pick.choice((_failed, _unknown, _segmented, _taught, _described_by_its_owner, _fewer))(record, known, pick)


def _failed(record: Record, _: list[Concept], pick: random.Random) -> Record:
    return msgspec.structs.replace(
        record, state=pick.choice(("failed", "dead", "skipped")), tags=(), evidence=(), media=None,
        error=Error(*pick.choice(ERRORS)), timings_ms={"total": round(pick.uniform(5, 500), 3)},
    )  # fmt: skip


def _unknown(record: Record, known: list[Concept], pick: random.Random) -> Record:
    code = pick.choice(("low-score", "low-evidence", "low-confidence", "no-near-caption", "featureless", "rejected"))
    why = Unknown(code, pick.choice(known).label.lower(), round(pick.random(), 6), 0.3)
    return msgspec.structs.replace(record, tags=(), unknown=True, unknown_because=why)


def _segmented(record: Record, known: list[Concept], pick: random.Random) -> Record:
    named = pick.sample(known, 4)
    segments = tuple(
        Segment(
            label=one.label.lower(), score=round(pick.random(), 6), area=round(pick.random(), 6),
            box=(pick.randrange(300), pick.randrange(300), pick.randrange(300), pick.randrange(300)),
            mask=RunLengths((128, 128), "".join(pick.choices("0123456789OQTPLMNl:<;hjk^nf`ob", k=60))),
            evidence=tuple(Named(pick.randrange(30_000), text, round(pick.random(), 6)) for text in one.captions[:2]),
        )
        for one in named
    )  # fmt: skip
    labels = (Label("unknown", "#000000"), *(Label(one.label, f"#{pick.randrange(1 << 24):06x}") for one in segments))
    return msgspec.structs.replace(record, segmentation=Segmentation(
        method=pick.choice(("dense", "regions", "prompted")), width=640, height=480, labels=labels, segments=segments,
        artifacts=ArtifactKeys(f".wildtag/segments/{record.key}.png", f".wildtag/overlays/{record.key}.png"),
    ))  # fmt: skip


def _taught(record: Record, known: list[Concept], pick: random.Random) -> Record:
    first, second, *rest = record.tags
    like = Likeness(first.label, f"inbox/{record.key}", 0.912345, 0.812345)
    tags = (
        Tag(first.label, first.score, first.image_score, first.text_score, first.evidence, 1.0, "person"),
        Tag(second.label, second.score, second.image_score, second.text_score, (), 0.812345, "example", like),
    )
    return msgspec.structs.replace(record, tags=(*tags, *rest), rejected=(pick.choice(known).label,))


def _described_by_its_owner(record: Record, _: list[Concept], pick: random.Random) -> Record:
    media = record.media and msgspec.structs.replace(
        record.media, latitude=round(pick.uniform(-90, 90), 6), longitude=round(pick.uniform(-180, 180), 6),
        frames=pick.choice((1, 12)), preview=True,
        warnings=(MediaWarning("truncated", "the file ends before the image does"),),
    )  # fmt: skip
    return msgspec.structs.replace(
        record, media=media, version_id=f"{pick.getrandbits(128):032x}",
        file_name=f"IMG_{pick.randrange(9999):04}.jpg", client_id=f"{pick.getrandbits(64):016x}",
        metadata={"album": "holidays", "source": "upload"},
    )  # fmt: skip


def _fewer(record: Record, _: list[Concept], pick: random.Random) -> Record:
    return msgspec.structs.replace(record, tags=record.tags[: pick.randrange(1, 4)])


if __name__ == "__main__":
    main()
