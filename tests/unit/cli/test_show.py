"""Tables of records for people."""

from __future__ import annotations

import msgspec
import pytest
from rich.text import Text

from tasks.message_parts import Likeness, Media, MediaWarning, Tag
from tasks.segmentation.results import RunLengths, Segment
from workers.cli import show
from workers.cli.console import console
from workers.lifecycle.record import Error, Record, Segmentation

LONG = "neither its name nor its content is that of an image: [bold]text[/]"


def skipped(key: str, reason: str) -> Record:
    return Record(bucket="inbox", key=key, etag="1", state="skipped", space_id="s", captions_version="c@1",
                  error=Error("not-an-image", reason))  # fmt: skip


def test_a_long_reason_of_many_rows_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "_width", 200, raising=False)
    records = [skipped("a.txt", LONG), skipped("b.txt", LONG), skipped("c.txt", "short"), skipped("d.txt", "short")]
    show.show([*records, skipped("e.txt", f"another: {LONG}")], json=False)
    lines = [" ".join(line.replace("│", " ").split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1] == f"[1] 2 files: {LONG}"
    for row in ("a.txt skipped: [1]", "b.txt skipped: [1]", "c.txt skipped: short", "d.txt skipped: short"):
        assert row in lines
    assert any("e.txt" in line and "another:" in line for line in lines)


def segment(label: str) -> Segment:
    return Segment(label=label, score=0.5, box=(0, 0, 2, 2), area=0.5, mask=RunLengths(size=(2, 2), counts="04"))


@pytest.mark.parametrize(
    ("segmentation", "says"),
    [
        (None, "cat 0.50"),
        (Segmentation(method="dense", segments=(segment("cat"),)), "cat 0.50"),
        (
            Segmentation(method="dense", segments=(segment("cat"), segment("owl"), segment("owl"))),
            "cat 0.50; segments: owl",
        ),
        (
            Segmentation(method="dense", error=Error("no-model", "[bold]no model[/]")),
            "cat 0.50; not segmented: [bold]no model[/]",
        ),
    ],
)
def test_an_image_shows_the_segments_that_it_is_found_by(segmentation: Segmentation | None, says: str) -> None:
    record = Record(bucket="inbox", key="a.jpg", etag="1", state="done", space_id="s", captions_version="c@1",
                    tags=(Tag("cat", 0.5, 0.5, 0.5),), segmentation=segmentation)  # fmt: skip
    assert Text.from_markup(show.line(record)).plain == f"a.jpg  {says}"


def test_a_tag_says_who_gave_it() -> None:
    named, like, found = (
        Tag("Chelsea", 1.0, 0.0, 0.0, confidence=1.0, source="person"),
        Tag(
            "tabby",
            0.5,
            0.5,
            0.5,
            confidence=0.8,
            source="example",
            example=Likeness("tabby", "b/p[1].jpg", 0.9, 0.8),
        ),
        Tag("cat", 0.5, 0.5, 0.5),
    )
    record = Record(bucket="inbox", key="a.jpg", etag="1", state="done", space_id="s", captions_version="c@1",
                    tags=(named, like, found))  # fmt: skip
    shown = Text.from_markup(show.line(record)).plain
    assert shown == "a.jpg  Chelsea (you), tabby 0.80 (like p[1].jpg), cat 0.50"


def test_what_may_be_wrong_with_a_file_is_shown_beside_its_tags() -> None:
    media = Media(
        format="BMP", width=9, height=9, bytes=99, warnings=(MediaWarning("may-be-truncated", "[b]dark[/]"),)
    )
    record = Record(bucket="inbox", key="a.bmp", etag="1", state="done", space_id="s", captions_version="c@1",
                    tags=(Tag("cat", 0.5, 0.5, 0.5),), media=media)  # fmt: skip
    assert Text.from_markup(show.line(record)).plain == "a.bmp  cat 0.50; warning: [b]dark[/]"


@pytest.mark.parametrize(
    ("key", "called", "table", "line"),
    [
        ("uploads/01a2.jpg", "cat.jpg", "uploads/01a2.jpg[dim]\ncat.jpg[/]", "uploads/01a2.jpg[dim] (cat.jpg)[/]"),
        ("holiday/cat.jpg", "cat.jpg", "holiday/cat.jpg", "holiday/cat.jpg"),  # its key says it
        ("a.jpg", "[b]x\x1b", "a.jpg[dim]\n\\[b]x\N{REPLACEMENT CHARACTER}[/]", None),
    ],
)
def test_an_upload_is_shown_with_the_name_of_its_file(key: str, called: str, table: str, line: str | None) -> None:
    record = msgspec.structs.replace(skipped(key, "no"), file_name=called)
    assert show.named(record) == table
    assert line is None or show.line(record).startswith(f"[bold]{line}[/]  ")
