"""The bare encoder: read, decode and encode files in one process. The child process of ``ops.bench.pipeline``.

It is run as a file by the interpreter of a checkout, whose encoder it uses, as that checkout's embedding worker loads
it. Each line of standard input is a JSON object with ``files`` and ``batch``; each is answered by one line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    """Answer with the number of images, and with the seconds of wall time and of CPU."""
    encoder = _encoder()
    decode = import_module("tasks.images").decode
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(_timed(encoder, decode, asked["files"], asked["batch"])), flush=True)


def _timed(encoder: Any, decode: Any, files: Sequence[str], batch: int) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    for begin in range(0, len(files), batch):
        images = [decode(Path(file).read_bytes(), near=encoder.side) for file in files[begin : begin + batch]]
        encoder.encode(images)
    return {
        "images": len(files), "seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu,
    }  # fmt: skip


def _encoder() -> Any:
    """The image encoder that the settings of the environment name."""
    try:
        wiring = import_module("workers.wiring.wiring").Wiring
        settings = import_module("workers.settings.settings").Settings
    except ModuleNotFoundError:  # before they were folders
        wiring = import_module("workers.wiring").Wiring
        settings = import_module("workers.settings").Settings
    return wiring(settings()).image_encoder


if __name__ == "__main__":
    main()
