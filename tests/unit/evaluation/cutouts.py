"""Cut-outs for compositions: shapes of one colour with a transparent background."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = {
    "cat": (220, 30, 30), "banana": (30, 200, 40), "bridge": (40, 40, 220), "river": (200, 180, 30),
    "lamp": (30, 180, 190),
}  # fmt: skip


def save_cutouts(folder: Path) -> Path:
    """A table of cut-outs, one a label, an opaque picture and a wholly transparent one. Gives the table's path."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["path\tlabel"]
    for number, (label, colour) in enumerate(COLOURS.items()):
        image = Image.new("RGBA", (60 + 10 * number, 50), (255, 255, 255, 0))
        ImageDraw.Draw(image).ellipse((5, 5, 55 + 10 * number, 45), fill=(*colour, 255))
        image.save(folder / f"{label}.png")
        rows.append(f"{label}.png\t{label}")
    Image.new("RGB", (30, 30), "red").save(folder / "opaque.png")
    Image.new("RGBA", (30, 30), (0, 0, 0, 0)).save(folder / "nothing.png")
    rows += ["opaque.png\topaque", "nothing.png\tnothing"]
    (folder / "set.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder / "set.tsv"
