"""The options that benchmarks share."""

from __future__ import annotations

import argparse


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
