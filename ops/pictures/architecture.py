"""Writes ``docs/images/architecture.svg``: the path of an image. ``python -m ops.pictures.architecture``."""

from __future__ import annotations

from html import escape
from pathlib import Path

FILE = Path(__file__).parents[2] / "docs" / "images" / "architecture.svg"
WIDTH, HEIGHT = 960, 430
INK, LINE, STORE, STAGE, SIDE = "#1f2d2d", "#5c7373", "#fff4d6", "#d9efec", "#eef1f1"
STYLE = f"text{{font:14px system-ui,sans-serif;fill:{INK}}}.small{{font-size:12px}}.title{{font-weight:600}}"
STAGES = (
    ("embedding", "image → vector"),
    ("retrieval", "nearest captions"),
    ("extraction", "words and phrases"),
    ("scoring", "best candidates"),
)


def svg() -> str:
    """The picture."""
    parts = [
        _box(20, 40, 180, 46, "gateway", "HTTP and the page", SIDE),
        _box(20, 122, 180, 46, "folder or S3 bucket", "the objects", STORE),
        _box(20, 204, 180, 46, "event sources", "watch, webhook, listener", SIDE),
        _box(20, 286, 180, 46, "sweep", "bucket against records", SIDE),
        _box(260, 176, 160, 56, "inbox", "Redis stream", STORE),
        _box(260, 276, 160, 56, "dispatcher, keeper", "batches, deadlines", SIDE),
        _box(260, 40, 380, 56, "ledger (Redis)", "accepted objects without a record", STORE),
        _box(740, 40, 200, 56, "record (Redis)", "tags, evidence, timings", STORE),
        _box(740, 160, 200, 56, "feed (Redis stream)", "finished objects, in order", STORE),
        _box(740, 276, 200, 56, "readers", "page, webhooks, write-back", SIDE),
        _arrow(110, 86, 110, 122), _arrow(110, 168, 110, 204),
        _arrow(200, 63, 230, 63, 230, 190, 260, 190), _arrow(200, 227, 222, 227, 222, 204, 260, 204),
        _arrow(200, 309, 236, 309, 236, 218, 260, 218), _arrow(340, 232, 340, 276),
        _arrow(420, 304, 480, 304, 480, 96), _note(490, 200, "enter"),
        _arrow(740, 62, 640, 62), _note(668, 54, "leave"),
        _arrow(840, 96, 840, 160), _arrow(840, 216, 840, 276),
        _arrow(340, 332, 340, 351, 99, 351, 99, 370),
    ]  # fmt: skip
    for at, (name, what) in enumerate(STAGES):
        left = 20 + at * 178
        parts.append(_box(left, 370, 158, 46, name, what, STAGE))
        if at:
            parts.append(_arrow(left - 20, 393, left, 393))
    parts += [
        _box(740, 370, 200, 46, "segmentation", "where asked for", STAGE), _arrow(712, 393, 740, 393),
        _arrow(680, 370, 680, 84, 740, 84), _note(690, 200, "write"),
    ]  # fmt: skip
    marker = (
        f'<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 8 4 0 8z" fill="{LINE}"/></marker>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t">'
        f'<title id="t">From an object in a bucket to its record</title><style>{STYLE}</style><defs>{marker}</defs>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _box(left: int, top: int, width: int, height: int, title: str, what: str, fill: str) -> str:
    middle = left + width / 2
    return (
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="6" fill="{fill}" stroke="{LINE}"/>'
        f'<text class="title" x="{middle:g}" y="{top + height / 2 - 3:g}" text-anchor="middle">{escape(title)}</text>'
        f'<text class="small" x="{middle:g}" y="{top + height / 2 + 14:g}" text-anchor="middle">{escape(what)}</text>'
    )


def _note(left: int, base: int, text: str) -> str:
    return f'<text class="small" x="{left}" y="{base}">{escape(text)}</text>'


def _arrow(*points: int) -> str:
    pairs = " ".join(f"{x},{y}" for x, y in zip(points[::2], points[1::2], strict=True))
    return f'<polyline points="{pairs}" fill="none" stroke="{LINE}" stroke-width="1.5" marker-end="url(#head)"/>'


if __name__ == "__main__":
    FILE.write_text(svg())
