"""Builds the graphs of an image index in a process of its own, on a copy of the index that nobody else has open.

``python -P -m vectordb.image_graph FOLDER PARENT NICE OPTIONS``, started by ``start`` and ended by the kernel with
its parent. It has a low priority and one thread.

**The copy.** A segment with a graph never changes again but for a few small files, which note what was removed. So
its large files are hard links, and only the images without a graph are copied. A test of
``tests/contract/vectordb/test_image_graph.py`` shows that no linked file changes.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from vectordb.image_edge import EdgeImages
from vectordb.options import IndexOptions

LINKED = ("matrix.dat", "quantized.data", "links_compressed.bin")  # never change in a segment with a graph
OUTPUT = "output.txt"  # of the process, in its folder
_FINISHED = "id_tracker.mappings"  # file of a segment that receives no more images
_VERSIONS = "mutable_id_tracker.versions"  # 8 bytes for each image of a segment that receives more
NICE = 10  # with 19 a busy machine would leave it nothing
_PR_SET_PDEATHSIG = 1


def bytes_to_copy(shard: Path) -> int:
    """The size on disk of what ``copy`` copies."""
    linked = set(_linked(shard))
    return sum(file.stat().st_blocks * 512 for file in shard.rglob("*") if file.is_file() and file not in linked)


def without_graph(shard: Path) -> int:
    """About the number of images without a graph in a shard that nobody has open: removed ones may be included."""
    unfinished = (segment for segment in shard.glob("segments/*") if not (segment / _FINISHED).exists())
    sizes = (file.stat().st_size for segment in unfinished for file in segment.glob(_VERSIONS))
    return sum(sizes) // 8


def copy(shard: Path, target: Path) -> None:
    """Copy a shard that was flushed and does not change meanwhile, as described above. Raises ``OSError``."""
    linked = set(_linked(shard))
    copied = []
    for place in shard.rglob("*"):
        to = target / place.relative_to(shard)
        if place.is_dir():
            to.mkdir(parents=True, exist_ok=True)
        elif place in linked:
            to.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(place, to)
            except OSError:  # no links on this file system
                copied.append(place)
        else:
            copied.append(place)
    # keeps holes, which are most of the files that are written, and shares blocks where the file system can
    command = ["cp", "--parents", "--reflink=auto", "--", *(str(file.relative_to(shard)) for file in copied)]
    done = subprocess.run([*command, str(target.absolute())], cwd=shard, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"the index was not copied: {done.stderr.strip()[-300:]}")


def start(folder: Path, options: IndexOptions) -> subprocess.Popen[bytes]:
    """Start building in a folder that holds a copy. The process ends with status 0 when the graphs are complete."""
    described = [str(os.getpid()), str(NICE), json.dumps(asdict(options))]
    command = [sys.executable, "-P", "-m", "vectordb.image_graph", str(folder), *described]
    # without an installation the modules are found from here only
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with (folder / OUTPUT).open("wb") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)


def last_words(folder: Path) -> str:
    """The end of what the process printed."""
    with contextlib.suppress(OSError):
        return (folder / OUTPUT).read_text(encoding="utf-8", errors="replace").strip()[-300:]
    return ""


def main(arguments: list[str]) -> None:
    """``arguments``: the folder, the process that wants the result, niceness, and the index options as JSON."""
    folder, parent, options = Path(arguments[0]), int(arguments[1]), IndexOptions(**json.loads(arguments[3]))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the request was made
        sys.exit(1)
    os.nice(int(arguments[2]))
    index = EdgeImages.open(folder, options)
    index.optimize(threads=1)
    index.close()


def _linked(shard: Path) -> Iterator[Path]:
    for segment in shard.glob("segments/*"):
        if (segment / _FINISHED).exists():
            yield from (file for file in segment.glob("*/*") if file.name in LINKED)


if __name__ == "__main__":
    main(sys.argv[1:])
