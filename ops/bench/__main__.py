"""``python -m ops.bench NAME …``: run one benchmark with its own options."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from vectordb.errors import WildtagError

# name → purpose; the module of that name in this package has a ``main(arguments)``
BENCHMARKS = {
    "captions": "encode, import and search a million captions",
    "delay": "time from the end of an upload to its record, for each event source",
    "decoding": "cost of decoding in a process of its own",
    "events": "throughput and latency of webhook events",
    "gateway": "throughput of uploads, event streams, and latency of one image on an idle stack",
    "records": "memory of Redis per record, by family of keys",
    "reconcile": "duration of a sweep over a fully tagged bucket",
    "quality": "sweep the parameters of the method on labelled images",
    "finding": "how well labelled images are found by their labels",
    "archive": "retag from kept vectors, and how fast an archive follows a caption",
    "latency": "search a million images by vector and tag, and let graphs be built meanwhile",
    "search": "the whole table of kept vectors: latency, retagging, following, search by words, teaching",
    "segmentation": "cost of segmentation relative to encoding, and savings of a coarse pass",
}


def main(arguments: list[str]) -> int:
    """Run the benchmark that the first argument names. Returns the exit status."""
    # must be set before torch is loaded, whose threads otherwise spin while they wait
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not arguments or arguments[0] not in BENCHMARKS:
        print(
            "usage: python -m ops.bench NAME [OPTIONS]\nFor the options: python -m ops.bench NAME --help\n",
            file=sys.stderr,
        )
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
