"""The options that benchmarks share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable


def parser_of(name: str, description: str | None, short: str) -> argparse.ArgumentParser:
    """A parser with ``--json`` and ``--short``. ``short``: how much the latter measures."""
    parser = argparse.ArgumentParser(
        prog=f"python -m ops.bench {name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--short", action="store_true", help=f"{short}: only shows that it runs")
    parser.add_argument("--json", action="store_true", help="print all figures and their conditions as JSON")
    return parser


def add_parts(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """``--only``, which names some of the parts. A name that is none of them is refused, so that none is left out."""
    known = ",".join(names)

    def parts(given: str) -> list[str]:
        found = [name.strip() for name in given.split(",")]
        if unknown := [name for name in found if name not in known.split(",")]:
            raise argparse.ArgumentTypeError(f"there is no part {', '.join(map(repr, unknown))} of {known}")
        return found

    parser.add_argument(
        "--only", type=parts, default=known, help="parts, separated by commas (default: all: %(default)s)"
    )
