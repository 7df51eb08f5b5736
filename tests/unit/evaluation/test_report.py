"""Shows that the page holds everything, the worst first, and that nothing in it can break out of its place."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

from tasks.evaluation.answers import Answer
from tasks.evaluation.manifest import Item, Skipped
from tasks.evaluation.results import Result
from tasks.evaluation.run import Evaluation, Judged
from tasks.message_parts import Tag
from tests.unit.stages.made_up import picture
from vectordb.errors import Permanent
from workers.evaluation.report import SIDE, page

EVIL = "<script>alert(1)</script>\"'&"


def judged(name: str, label: str, similarity: float) -> Judged:
    tags = (Tag("tabby cat", 0.75, 0.8, 0.6, (1,)), Tag(EVIL, 0.25, 0.2, 0.4))
    answer = Answer(tags, ("a sofa", f"a cat {EVIL}"), (0.5, None), candidates=2)
    return Judged(Item(Path(name), label, "line 2"), (answer, Answer(())), (similarity, 0.0))


def result(method: str) -> Result:
    return Result(
        method=method, images=3, cluster_accuracy=0.5, semantic_iou=0.25, semantic_similarity=0.125, unique_labels=2,
        mean_candidates=15.8, unknown=0, seconds_per_image=0.1, embedding_seconds_per_image=0.08,
        own_seconds_per_image=0.02, setup_seconds=1.0,
    )  # fmt: skip


def read(path: Path) -> bytes:
    if path.name == "gone.png":
        raise Permanent("gone")
    return picture((255, 0, 0))


def made() -> str:
    pictures = (judged("good.png", "good", 0.9), judged(f"{EVIL}.png", EVIL, 0.1), judged("gone.png", "mid", 0.5))
    evaluation = Evaluation(
        (result("cased"), result(f"vocabulary:{EVIL}")), pictures, (Skipped("line 9", f"{EVIL}: no such file"),)
    )
    return "".join(page(evaluation, f"set {EVIL}", {"machine": {"cpu": EVIL}, "commit": "abc"}, read))


class Balanced(HTMLParser):
    """Notes elements and fails where one is not closed in its turn."""

    VOID = frozenset({"meta", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not any(name.startswith("on") for name, _ in attrs)
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_holds_no_script() -> None:
    parser = Balanced()
    parser.feed(made())
    assert parser.open == []
    assert "script" not in parser.seen
    assert parser.seen.count("article") == 3


def test_it_needs_nothing_but_itself() -> None:
    text = made()
    assert not re.search(r'(?:src|href)="(?!data:)|@import|url\(', text)
    assert "prefers-color-scheme: dark" in text


def test_the_worst_comes_first() -> None:
    text = made()
    places = [text.index(f"<h2>{label}") for label in ("&lt;script", "mid", "good")]
    assert places == sorted(places)


def test_labels_scores_and_evidence_are_shown() -> None:
    text = made()
    assert text.count("<b>tabby cat</b> 0.750 <small>2</small>") == 3
    assert text.count("<li>a sofa <i>0.500</i></li>") == 3
    assert "unknown" in text
    assert "line 9" in text
    assert "0.125" in text


def test_thumbnails_are_small_and_missing_ones_leave_a_gap() -> None:
    text = made()
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    assert (len(found), text.count('<div class="gone">')) == (2, 1)
    assert max(Image.open(io.BytesIO(base64.b64decode(found[0]))).size) <= SIDE
