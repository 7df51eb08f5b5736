"""``python -m ops.bench finding MANIFEST --root DIR``: how well labelled images are found by their labels.

The images are tagged by the stages as ``wildtag tag`` does. Each distinct label is a query, and all images of the
set are searched exactly. Names of files do not count, since they may be the labels. ``--text`` prints the hits of a
query.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from ops.bench.labelled import Images, labelled_set, opened, tagged
from tasks.encoders.protocols import TextEncoder
from tasks.evaluation.finding import FindingFigures, finding_figures
from tasks.labels.implied import implied
from tasks.message_parts import Floats
from tasks.search.expansion import CAPTIONS, expanded
from tasks.search.fusion import DEPTH, RankedList, fused, reason
from tasks.search.query import read
from tasks.search.words import matching
from vectordb.index import CaptionIndex, CaptionSearch
from workers.cli.console import console, messages
from workers.evaluation.adapters import options_in_use
from workers.evaluation.conditions import conditions
from workers.settings.settings import Settings
from workers.wiring.wiring import Wiring

TOP = 5  # hits printed of a query


def main(arguments: Sequence[str]) -> None:
    """Measure each way to search, and print a table or JSON."""
    chosen = _parser().parse_args(arguments)
    settings = Settings()
    items = labelled_set(chosen.manifest, chosen.root).spread(chosen.limit)
    with opened(settings) as (wiring, captions):
        images = tagged(items, wiring, captions)
        ways = Ways.of(images, wiring, captions)
        rows = ways.figures()
        for text in chosen.text:
            ways.show(text)
    if chosen.json:
        body = {
            "source": str(chosen.manifest), "skipped": len(items) - len(images.items), "rows": rows,
            "conditions": conditions(settings, wiring.space, wiring.revision, options_in_use(wiring)),
        }  # fmt: skip
        console.out(msgspec.json.encode(body).decode(), highlight=False)
        return
    view = Table(
        pad_edge=False, caption=f"{rows[0].images} images, {rows[0].queries} queries, space {wiring.space.id}"
    )
    for name in ("search", "mean average precision", "95 %", "first right", "recall at 10"):
        view.add_column(name, justify="left" if name == "search" else "right")
    for row in rows:
        low, high = row.interval
        view.add_row(
            row.name, f"{row.average_precision:.3f}", f"{low:.3f} to {high:.3f}", f"{row.first_right:.3f}",
            f"{row.recall_at_10:.3f}",
        )  # fmt: skip
    console.print(view)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ops.bench finding", description=__doc__)
    parser.add_argument(
        "manifest", type=Path, help="TSV file with the columns path and label, or a folder of class folders"
    )
    parser.add_argument("--root", type=Path, help="folder that the paths are relative to")
    parser.add_argument("--limit", type=int, help="maximum number of images, spread evenly over the set")
    parser.add_argument("--text", action="append", default=[], help="also print the first hits of this query")
    parser.add_argument("--json", action="store_true", help="print the figures and their conditions as JSON")
    return parser


@dataclass(frozen=True)
class Ways:
    """The ways to search. Each gives positions of images, best first."""

    images: Images
    encoder: TextEncoder
    captions: CaptionSearch
    reference_vectors: Floats | None

    @classmethod
    def of(cls, images: Images, wiring: Wiring, captions: CaptionIndex) -> Self:
        """With the parts of a pipeline."""
        reference = wiring.reference_vectors.vectors if wiring.reference_vectors else None
        return cls(images, wiring.text_encoder, captions, reference)

    def figures(self) -> list[FindingFigures]:
        """The figures of each way, ``fused`` last: as the product searches."""
        searches = {"vector": self.plain, "expanded": self.near, "words": self.by_words, "fused": self.fused}
        return [
            finding_figures(name, search, self.images.items)
            for name, search in track(searches.items(), "searching", console=messages, transient=True)
        ]

    def plain(self, text: str) -> Sequence[int]:
        """By the vector of the text."""
        return self._nearest(self.encoder.encode([text])[0]).ids

    def near(self, text: str) -> Sequence[int]:
        """By the expanded vector."""
        return self._nearest(self.vector(text)).ids

    def by_words(self, text: str) -> Sequence[int]:
        """By words only."""
        return self._worded(text).ids

    def fused(self, text: str) -> Sequence[int]:
        """As the product searches."""
        return [one.id for one in fused([self._nearest(self.vector(text)), self._worded(text)], DEPTH)]

    def vector(self, text: str) -> Floats:
        """The expanded vector of a query (d,)."""
        vector = self.encoder.encode([read(text).text])
        (found,) = self.captions.search(vector, CAPTIONS)
        return expanded(vector[0], found.vectors, self.reference_vectors)

    def show(self, text: str) -> None:
        """Print the first hits with their reasons."""
        query, vector = read(text), self.vector(text)
        console.print(f"[bold]{escape(text)}[/]")
        for at in self.fused(text)[:TOP]:
            tags = {label: implied(label, captions) for label, _, captions in self.images.labels[at]}
            why = reason(query, float(self.images.vectors[at] @ vector), tags, self.images.words[at])
            said = f"{self.images.items[at].path.name}  {why.similarity:.2f}  {', '.join((*why.tags, *why.words))}"
            console.print(said, markup=False)

    def _nearest(self, vector: Floats) -> RankedList:
        similarities = self.images.vectors @ vector
        best = np.argsort(-similarities, kind="stable")[:DEPTH]
        return RankedList(best.tolist(), similarities[best].tolist())

    def _worded(self, text: str) -> RankedList:
        asked = read(text).words
        scores = [(matching(asked, words), at) for at, words in enumerate(self.images.words)]
        best = sorted((-score, at) for score, at in scores if score > 0)[:DEPTH]
        return RankedList([at for _, at in best], [-score for score, _ in best], graded=True)
