"""``python -m ops.bench NAME …``: one benchmark, with arguments of its own."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from vectordb.errors import WildtagError

# name → what it measures; its module of that name here has a ``main(arguments)``
BENCHMARKS = {
    "captions": "encodes, imports and searches a million captions",
    "delay": "how long a picture takes from the end of its PUT to its record, by each way that tells of it",
    "events": "what the receiving path takes: webhook events a second, and how long each waits",
    "gateway": "uploads a second, event streams at once, and how long one image takes on an idle stack",
    "reconcile": "how long a sweep takes to confirm that a bucket is tagged",
    "quality": "sweeps the choices of the method on labelled pictures",
    "segmentation": "what segmenting costs beside encoding its crops, and what a coarse pass saves",
}


def main(arguments: list[str]) -> int:
    """Run the benchmark that the first argument names. Gives the exit status."""
    # torch's threads wait by spinning unless told otherwise before it is loaded
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not arguments or arguments[0] not in BENCHMARKS:
        print("usage: python -m ops.bench NAME …, or NAME --help for its arguments\n", file=sys.stderr)
        for name, purpose in BENCHMARKS.items():
            print(f"  {name:12} {purpose}", file=sys.stderr)
        return 2
    try:
        import_module(f"ops.bench.{arguments[0]}").main(arguments[1:])
    except WildtagError as exc:
        print(f"ops.bench: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
