"""Import prepared captions into an index: the child process of ``ops.bench.captions``.

Prints one line after each quarter of the captions, after all of them, and after the graph is built.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ops.bench.prepared import Prepared
from ops.bench.watched import Clock
from vectordb.edge import EdgeIndex
from vectordb.options import IndexOptions

CALL = 2048  # captions per call of ``add``, as in an import


def main(arguments: list[str]) -> None:
    """``arguments``: folder of the index, description of the prepared captions, options of the index as JSON."""
    target, prepared, options = (
        Path(arguments[0]),
        Prepared.described(arguments[1]),
        IndexOptions(**json.loads(arguments[2])),
    )
    count = prepared.count
    clock = Clock()
    index = EdgeIndex.create(target, prepared.queries()[1].shape[1], options)
    done, quarter = 0, max(1, count // 4)
    for captions, vectors in prepared.pieces():
        for start in range(0, len(captions), CALL):
            index.add(captions[start : start + CALL], vectors[start : start + CALL])
            done += len(captions[start : start + CALL])
            if done >= quarter and done < count:
                quarter += max(1, count // 4)
                _say("adding", clock, done)
    _say("added", clock, done)
    clock = Clock()
    index.optimize()
    index.close()
    _say("built", clock, done)


def _say(step: str, clock: Clock, captions: int) -> None:
    print(json.dumps({"step": step, "captions": captions, **clock.seconds()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
