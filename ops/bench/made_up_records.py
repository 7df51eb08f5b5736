"""Made-up records of the size and shape that the product writes, without a model: tags, captions and figures."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources

import msgspec

from tasks.message_parts import Media, ObjectRef, Tag
from workers.lifecycle.record import Evidence, Record

BUCKET = "inbox"
KEY_LENGTH = 35
TAGS, CAPTIONS = 5, 10
KINDS = 2000  # concepts that the images show, the most frequent ones much more often than the others
SPACE, CAPTIONS_VERSION = "bundled-a4fe80c1", "starter@2e62502af6"
CAMERAS = ("Canon EOS R6", "NIKON Z 6_2", "Apple iPhone 14 Pro", "SONY ILCE-7M4", "Google Pixel 8", None, None)
FORMATS = ("JPEG", "JPEG", "JPEG", "JPEG", "PNG", "WEBP", "HEIC")


@dataclass(frozen=True)
class Concept:
    """A label with the captions that are near to it."""

    label: str
    captions: tuple[str, ...]


def concepts(seed: int = 0, kinds: int = KINDS) -> list[Concept]:
    """Concepts of the starter list: a noun with its own caption and those of its neighbours."""
    rows = [line.split("\t") for line in _nouns().splitlines()]
    by_broader: dict[str, list[str]] = {}
    for noun, broader in rows:
        by_broader.setdefault(broader, []).append(noun)
    pick = random.Random(seed)
    chosen = pick.sample(rows, kinds)
    found = []
    for noun, broader in chosen:
        near = [caption(other, broader) for other in by_broader[broader] if other != noun]
        below = [caption(other, noun) for other in by_broader.get(noun, ())]
        others = [caption(*pick.choice(rows)) for _ in range(CAPTIONS)]
        captions = dict.fromkeys([caption(noun, broader), *pick.sample(below, min(3, len(below))),
                                  *pick.sample(near, min(6, len(near))), *others])  # fmt: skip
        found.append(Concept(noun, tuple(captions)[:CAPTIONS]))
    return found


def caption(noun: str, broader: str) -> str:
    """A caption as in the starter list."""
    return f"{noun}, a kind of {broader}"


class MadeUpRecords:
    """Records with five tags, ten captions and keys of 35 characters.

    ``plain``: without what was added to records later (the file's facts, confidences), and with tags that imply no
    other label, so that each record is found by its five tags only.
    """

    def __init__(self, seed: int = 0, *, plain: bool = False) -> None:
        self._random = random.Random(seed)
        self._plain = plain
        self._concepts = concepts(seed)
        self._weights = [1 / (place + 5) for place in range(len(self._concepts))]

    def records(self, count: int, now: float) -> Iterator[Record]:
        """``count`` records, finished one after the other until ``now`` (Unix seconds)."""
        for number in range(count):
            yield self._record(number, now - (count - number) / 10)

    def _record(self, number: int, at: float) -> Record:
        pick = self._random
        shown = pick.choices(self._concepts, self._weights, k=TAGS)
        while len({one.label for one in shown}) < TAGS:
            shown = pick.choices(self._concepts, self._weights, k=TAGS)
        captions = [one.captions[0] for one in shown] + [one.captions[place] for one in shown for place in (1, 2)]
        captions = list(dict.fromkeys(captions))[:CAPTIONS]
        while len(captions) < CAPTIONS:
            captions.append(pick.choice(pick.choice(self._concepts).captions))
        similarities = sorted((round(pick.uniform(0.3, 0.8), 6) for _ in captions), reverse=True)
        if self._plain:
            captions = [f"a photo of a {one.replace(', a kind of', ' beside the')}" for one in captions]
        record = Record(
            bucket=BUCKET, key=key_of(number), etag=f"{pick.getrandbits(128):032x}", state="done",
            tags=tuple(self._tags(shown)), space_id=SPACE, captions_version=CAPTIONS_VERSION,
            evidence=tuple(Evidence(text, near) for text, near in zip(captions, similarities, strict=True)),
            timings_ms=self._timings(), finished_at=round(at, 6),
        )  # fmt: skip
        return record if self._plain else replace_media(record, self._media())

    def _tags(self, shown: Sequence[Concept]) -> Iterator[Tag]:
        pick = self._random
        for place, one in enumerate(shown):
            by_image, by_text = round(pick.random(), 6), round(pick.random(), 6)
            evidence = (place, *sorted(pick.sample(range(TAGS, CAPTIONS), pick.randrange(3))))
            sure = None if self._plain else round(pick.uniform(0.3, 1.0), 6)
            label = f"{one.label.split()[-1].lower()}{'x' * self._plain}"
            yield Tag(label if self._plain else one.label.lower(), round(0.7 * by_image + 0.3 * by_text, 6), by_image,
                      by_text, evidence, sure)  # fmt: skip

    def _timings(self) -> dict[str, float]:
        pick = self._random
        stages = {"embedding": 30.0, "retrieval": 3.0, "extraction": 0.5, "scoring": 2.0, "total": 400.0}
        return {stage: round(pick.uniform(0.5, 1.5) * usual, 3) for stage, usual in stages.items()}

    def _media(self) -> Media:
        pick = self._random
        day = f"20{pick.randrange(10, 27)}-{pick.randrange(1, 13):02}-{pick.randrange(1, 29):02}"
        return Media(
            format=pick.choice(FORMATS), width=pick.choice((640, 1024, 4032)), height=pick.choice((480, 683, 3024)),
            bytes=pick.randrange(40_000, 9_000_000), taken_at=f"{day}T12:{pick.randrange(60):02}:07",
            camera=pick.choice(CAMERAS),
        )  # fmt: skip


def replace_media(record: Record, media: Media) -> Record:
    """The record with the facts of its file."""
    return msgspec.structs.replace(record, media=media)


def key_of(number: int) -> str:
    """A key of 35 characters."""
    return f"photos/2026/{number // 1000:06}/img-{number:08}.jpg".ljust(KEY_LENGTH, "x")[:KEY_LENGTH]


def ref_of(record: Record) -> ObjectRef:
    """The object of a record."""
    return ObjectRef(record.bucket, record.key, record.etag, size=100_000)


def _nouns() -> str:
    return resources.files("vectordb.starter").joinpath("nouns.tsv").read_text(encoding="utf-8")
