"""``python -m ops.bench NAME …``: run one benchmark with its own options."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module

from vectordb.errors import WildtagError

# name → purpose; the module of that name in this package has a ``main(arguments)``
BENCHMARKS = {
    "pipeline": "images a second through the whole stack, and through the bare encoder",
    "latency": "one image on an idle stack, by upload and by a drop into the folder",
    "memory": "memory of all processes of the busy stack",
    "soak": "growth of memory over very many images",
    "steady": "growth of anything while images come and go at a constant rate",
    "start": "time of the command line and of a start, and disk space",
    "reference": "the method against the paper's way of computing it",
    "growth": "cost of one more image with ten times the records, and with ten times the captions",
    "decoding": "cost of decoding in a process of its own, and of a large JPEG against plain Pillow",
    "captions": "encode, import and search a million captions",
    "delay": "time from the end of an upload to its record, for each event source of an S3 bucket",
    "encoders": "images and texts per second of the bare model and of our encoders, on any device",
    "events": "throughput and latency of webhook events",
    "gateway": "throughput of uploads, and event streams",
    "records": "memory of Redis per record, by family of keys",
    "reconcile": "duration of a sweep over a fully tagged bucket",
    "quality": "sweep the parameters of the method on labelled images",
    "finding": "how well labelled images are found by their labels",
    "archive": "retag from kept vectors, and how fast an archive follows a caption",
    "index_latency": "search a million images by vector and tag, and let graphs be built meanwhile",
    "search": "the whole table of kept vectors: latency, retagging, following, search by words, teaching",
    "segmentation": "cost of segmentation relative to encoding, and savings of a coarse pass",
}
ALL = "all"


def main(arguments: list[str]) -> int:
    """Run the benchmark that the first argument names. Returns the exit status."""
    # must be set before torch is loaded, whose threads otherwise spin while they wait
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not arguments or arguments[0] not in {*BENCHMARKS, ALL}:
        print(
            "usage: python -m ops.bench NAME [OPTIONS]\nFor the options: python -m ops.bench NAME --help\n",
            file=sys.stderr,
        )
        for name, purpose in (*BENCHMARKS.items(), (ALL, "every benchmark, with small sizes")):
            print(f"  {name:14} {purpose}", file=sys.stderr)
        return 2
    try:
        name = "every" if arguments[0] == ALL else arguments[0]
        import_module(f"ops.bench.{name}").main(arguments[1:])
    except WildtagError as exc:
        print(f"ops.bench: {exc}", file=sys.stderr)
        return 1
    return 0


def _end(*_: object) -> None:
    """End as by Ctrl-C: the stacks that were started, and perhaps suspended, are ended as well."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    raise SystemExit(main(sys.argv[1:]))
