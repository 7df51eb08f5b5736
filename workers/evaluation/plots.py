"""Draws the reliability of confidences, and precision against coverage, as SVG for the report."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tasks.evaluation.shown import Curves

SIDE = 260  # of a plot's area, in pixels
MARGIN = 44
Point = tuple[float, float]


def plots(method: str, curves: Curves) -> str:
    """Both plots of a method; empty without confidences."""
    if not curves.bins:
        return ""
    reliability = [(mean, share) for mean, share, _ in curves.bins]
    covered = [(coverage, right) for _, right, coverage in curves.levels]
    notes = [f"minimum confidence {level:.2f}" for level, _, _ in curves.levels]
    counts = [f"{count:,} tags" for _, _, count in curves.bins]
    return (
        f"<h2>{escape(method)}</h2>"
        + _plot("Reliability", "confidence", "share of right tags", reliability, counts, diagonal=True)
        + _plot("Precision and coverage", "images with a right tag", "share of right tags", covered, notes)
        + "\n"
    )


def _plot(
    title: str, across: str, up: str, points: Sequence[Point], notes: Sequence[str], *, diagonal: bool = False
) -> str:
    """Points of the unit square, joined by a line; each has a note that is shown on hover."""
    whole = SIDE + 2 * MARGIN
    left, bottom = MARGIN, MARGIN + SIDE
    at = [(left + x * SIDE, bottom - y * SIDE) for x, y in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{escape(f"{note}: {px:.3f}, {py:.3f}")}</title></circle>'
        for (x, y), (px, py), note in zip(at, points, notes, strict=True)
    )
    ideal = f'<line x1="{left}" y1="{bottom}" x2="{left + SIDE}" y2="{MARGIN}" stroke-dasharray="4 4"/>'
    ticks = "".join(
        f'<text x="{left + share * SIDE:.0f}" y="{bottom + 16}" text-anchor="middle">{share:g}</text>'
        f'<text x="{left - 6}" y="{bottom - share * SIDE + 4:.0f}" text-anchor="end">{share:g}</text>'
        for share in (0, 0.5, 1)
    )
    return (
        f'<svg viewBox="0 0 {whole} {whole}" width="{whole}" height="{whole}" role="img" fill="currentColor"'
        f' stroke="none" font-size="12"><title>{escape(title)}</title>'
        f'<text x="{whole / 2:.0f}" y="20" text-anchor="middle">{escape(title)}</text>'
        f'<g stroke="currentColor" fill="none"><rect x="{left}" y="{MARGIN}" width="{SIDE}" height="{SIDE}"/>'
        f'{ideal if diagonal else ""}<polyline points="{line}" stroke-width="2"/></g>{dots}{ticks}'
        f'<text x="{whole / 2:.0f}" y="{whole - 8}" text-anchor="middle">{escape(across)}</text>'
        f'<text x="12" y="{whole / 2:.0f}" text-anchor="middle" transform="rotate(-90 12 {whole / 2:.0f})">'
        f"{escape(up)}</text></svg>"
    )
