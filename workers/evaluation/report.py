"""One self-contained HTML page of an evaluation: every image with its labels and their evidence, worst first.

Thumbnails are embedded, there is no script, and all data from files or models (paths, labels, captions) is escaped.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image

from tasks.evaluation.answers import Answer
from tasks.evaluation.results import Result
from tasks.evaluation.run import Evaluation, Judged
from tasks.evaluation.shown import Curves, ShownFigures
from tasks.images import MAX_PIXELS, decode_with_media
from tasks.images.decoder import Decoder
from vectordb.errors import Permanent
from workers.evaluation.plots import plots

SIDE = 128  # pixels of a thumbnail
MOST = 2000  # images per page: about 10 MB
# accuracy is cluster accuracy, IoU and similarity are the semantic ones, labels counts the different answers
FIGURES: dict[str, Callable[[Result], str]] = {
    "accuracy": lambda one: f"{one.cluster_accuracy:.3f}",
    "IoU": lambda one: f"{one.semantic_iou:.3f}",
    "similarity": lambda one: f"{one.semantic_similarity:.3f}",
    "labels": lambda one: f"{one.unique_labels:,}",
    "candidates": lambda one: f"{one.mean_candidates:,.1f}",
    "unknown": lambda one: f"{one.unknown:,}",
    "s/image": lambda one: f"{one.seconds_per_image:.4f}",
}

# hit@1 and hit@5 have no thresholds; right is the share of the shown tags, covered the share of the images
SHOWN_FIGURES: dict[str, Callable[[ShownFigures], str]] = {
    "images": lambda one: f"{one.images:,}",
    "hit@1": lambda one: f"{one.hit_at_1:.3f}",
    "hit@5": lambda one: f"{one.hit_at_5:.3f}",
    "shown": lambda one: f"{one.tags_shown:.2f}",
    "right": lambda one: _figure(one.right),
    "covered": lambda one: f"{one.with_right:.3f}",
    "first": lambda one: _figure(one.first_right),
    "unknown": lambda one: f"{one.unknown:.3f}",
    "ECE": lambda one: _figure(one.calibration_error),
}


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def page(
    evaluation: Evaluation,
    title: str,
    conditions: dict[str, Any],
    read: Callable[[Path], bytes],
    curves: Mapping[str, Curves] = MappingProxyType({}),
    decode: Decoder = decode_with_media,
) -> Iterator[str]:
    """Yield the page in pieces, worst first by the first method's similarity. ``read``: path → a file's bytes.

    ``curves``: those of each method; methods without confidences have no plots. ``decode``: decodes the images, by
    default in this process.
    """
    worst = sorted(evaluation.pictures, key=lambda one: one.similarities[0])
    names = [result.method for result in evaluation.results]
    style = files("workers.evaluation").joinpath("report.css").read_text(encoding="utf-8")
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><h1>{escape(title)}</h1>\n"
    )
    yield _figures(evaluation.results)
    for method, drawn in curves.items():
        yield plots(method, drawn)
    yield f"<p>{_counts(evaluation)}</p>\n"
    if evaluation.skipped:
        lines = "".join(f"<li>{escape(str(one))}</li>" for one in evaluation.skipped)
        yield f"<details><summary>{len(evaluation.skipped):,} skipped</summary><ul>{lines}</ul></details>\n"
    yield f"<details><summary>Conditions</summary>{_tree(conditions)}</details>\n<main>\n"
    for one in worst[:MOST]:
        yield _card(one, names, _thumbnail(one.item.path, read, decode))
    yield "</main></body></html>\n"


def _counts(evaluation: Evaluation) -> str:
    count = len(evaluation.pictures)
    text = f"{count:,} images, worst first by the semantic similarity of {evaluation.results[0].method}"
    shown = f"; only the worst {MOST:,} are shown." if count > MOST else "."
    tags = "Each tag is followed by its confidence, or its score where there is none, and its captions by number."
    return escape(f"{text}{shown} {tags}")


def _figures(results: Iterable[Result]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in ["method", *FIGURES])
    rows = "".join(
        f"<tr><th>{escape(one.method)}</th>{''.join(f'<td>{figure(one)}</td>' for figure in FIGURES.values())}</tr>"
        for one in results
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>\n'


def _card(one: Judged, names: Iterable[str], thumbnail: str) -> str:
    answers = "".join(
        _answer(name, answer, similarity)
        for name, answer, similarity in zip(names, one.answers, one.similarities, strict=True)
    )
    return (
        f"<article>{thumbnail}<div><h2>{escape(one.item.label)}</h2>"
        f'<p class="where">{escape(one.item.where)} · {escape(str(one.item.path))}</p>{answers}</div></article>\n'
    )


def _answer(name: str, answer: Answer, similarity: float) -> str:
    tags = "".join(
        f"<li><b>{escape(tag.label)}</b> {tag.strength:.3f}{_support(tag.evidence)}</li>" for tag in answer.tags
    )
    captions = "".join(
        f"<li>{escape(caption)}{'' if close is None else f' <i>{close:.3f}</i>'}</li>"
        for caption, close in zip(answer.captions, answer.similarities, strict=True)
    )
    evidence = f"<details><summary>Evidence</summary><ol>{captions}</ol></details>" if captions else ""
    # the hue goes from red to green with the similarity
    hue = round(120 * min(1.0, max(0.0, similarity)))
    return (
        f'<section><h3><span class="similarity" style="--hue:{hue}">{similarity:.3f}</span> {escape(name)}</h3>'
        f'<ul class="tags">{tags or "<li>unknown</li>"}</ul>{evidence}</section>'
    )


def _support(evidence: tuple[int, ...]) -> str:
    """The captions of the list below that a tag comes from, numbered from 1."""
    return f" <small>{', '.join(str(at + 1) for at in evidence)}</small>" if evidence else ""


def _thumbnail(path: Path, read: Callable[[Path], bytes], decode: Decoder) -> str:
    try:
        image = decode(read(path), max_pixels=MAX_PIXELS, near=SIDE)[0][0]
    except Permanent:  # it was readable a moment ago
        return '<div class="gone"></div>'
    image.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    data = base64.b64encode(out.getvalue()).decode()
    return f'<img alt="" loading="lazy" src="data:image/jpeg;base64,{data}">'


def _tree(values: dict[str, Any]) -> str:
    items = "".join(
        f"<li>{escape(name)}: {_tree(value) if isinstance(value, dict) else escape(str(value))}</li>"
        for name, value in values.items()
    )
    return f"<ul>{items}</ul>"
