"""Fuzzes one group of readers until the time is over: ``python -m tests.attack.fuzzing GROUP SECONDS``.

atheris (libFuzzer) chooses the changes by what they reach, where it has a wheel for this Python; otherwise they are
drawn at random. The groups are in ``tests.attack.fuzz_targets``. An error that is not the reader's own ends it.
"""

from __future__ import annotations

import contextlib
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LONGEST_S, MEMORY_MIB = 20, 1500  # of one input, of this process
INSTRUMENTED = ["vectordb", "tarfile", "gzip", "zipfile", "csv"]


def changed(data: bytes, dice: random.Random) -> bytes:
    """The data with bytes changed, a part cut out, doubled or zeroed, or the end cut off."""
    new = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 8])):
        at = dice.randrange(len(new)) if new else 0
        end = min(len(new), at + dice.choice([1, 2, 4, 8, 64, 600]))
        match dice.randrange(6):
            case 0:
                del new[at:]
            case 1:
                del new[at:end]
            case 2:
                new[at:at] = new[at:end]
            case 3:
                new[at:end] = bytes(end - at)
            case 4:
                new[at:end] = dice.randbytes(end - at)
            case _:
                new[at : at + 1] = bytes([dice.choice([0, 1, 127, 128, 255, dice.randrange(256)])])
    return bytes(new)


def main(group: str, seconds: float) -> None:
    """Try until the time is over. The number of tries is printed at the end."""
    atheris: Any = __import__("atheris") if find_spec("atheris") else None
    with atheris.instrument_imports(include=INSTRUMENTED) if atheris else contextlib.nullcontext():
        from tests.attack.fuzz_targets import targets  # noqa: PLC0415 -- imported here to be instrumented

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "files"
        folder.mkdir()
        tried = list(targets(group, folder).values())
        if atheris is not None:
            _guided(atheris, Path(place), folder, tried, seconds)
        dice, count, end = random.Random(group), 0, time.monotonic() + seconds
        while time.monotonic() < end:
            target, good = dice.choice(tried)
            target(folder, changed(good, dice))
            count += 1
        sys.stdout.write(f"{group}: {count} tries at random\n")


def _guided(
    atheris: Any, place: Path, folder: Path, tried: list[tuple[Callable[[Path, bytes], None], bytes]], seconds: float
) -> None:
    """The first byte of an input chooses the reader. Ends the process."""
    corpus = place / "corpus"
    corpus.mkdir()
    for number, (_, good) in enumerate(tried):
        (corpus / str(number)).write_bytes(bytes([number]) + good)

    def one(data: bytes) -> None:
        if data:
            tried[data[0] % len(tried)][0](folder, data[1:])

    loaded = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    )  # what is imported: some builds of PyTorch are large
    options = [
        f"-max_total_time={seconds:.0f}", f"-timeout={LONGEST_S}", f"-rss_limit_mb={loaded + MEMORY_MIB}", "-seed=1",
        f"-artifact_prefix={place}/", "-print_final_stats=1",
    ]  # fmt: skip
    largest = max(len(good) for _, good in tried) + 4096
    atheris.Setup([sys.argv[0], *options, f"-max_len={largest}", str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
