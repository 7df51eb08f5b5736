"""Small files that take minutes or gigabytes are refused with a reason, and the next image is read as before."""

from __future__ import annotations

import resource
from contextlib import suppress

import psutil
import pytest
from PIL import Image

from tasks.images import BadImage, decode_with_media
from tasks.images.errors import TooComplex
from tests.attack import evil_images as evil
from tests.attack.conftest import LIMIT_S, MEMORY
from workers.decoding.decoders import Decoders
from workers.decoding.spawner import Spawner

PIXELS = 150_000_000
GOOD = evil.encoded(evil.noise(64, 48), "PNG")
SPARE = 150 * 2**20  # bytes: what a process has before it decodes, and libraries


def outcome(decoders: Decoders, data: bytes, near: int | None = None) -> str:
    """The code of the refusal; "done" without."""
    try:
        decoders(data, max_pixels=PIXELS, near=near)
    except BadImage as exc:
        return exc.code
    return "done"


def most_of_children() -> int:
    """The largest memory that a process which decodes for this one has had, in bytes."""
    found = [0]
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.Error, OSError):  # it has just ended
            if not any("fork_server" in part for part in one.cmdline()):
                continue
            with open(f"/proc/{one.pid}/status", encoding="ascii") as file:  # noqa: PTH123 - a special file
                found += [int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM")]
    assert len(found) > 1
    return max(found)


@pytest.mark.parametrize("name", evil.TOO_COMPLEX)
def test_too_many_parts_are_refused_before_they_are_decoded(decoders: Decoders, name: str) -> None:
    data = evil.TOO_COMPLEX[name]()
    assert len(data) < 8 * 2**20
    before = spent()
    assert outcome(decoders, data) == "too-complex"
    assert spent() - before < 5
    assert outcome(decoders, GOOD) == "done"


def test_codes_of_runs_that_add_no_pixels_are_bounded() -> None:
    with pytest.raises(TooComplex, match="bytes in runs"):
        decode_with_media(evil.runs(6000, 6000, b"\xff\0" * 23_000_000))


def ordinary() -> dict[str, bytes]:
    """What programs write, near the limits."""
    grey = Image.new("L", (12_000, 9_000), 90)
    large = evil.encoded(grey, "JPEG", progressive=True)
    gain_map = evil.encoded(evil.noise(64, 48), "JPEG", progressive=True)
    frames = [Image.new("RGB", (16, 16), (90 * at, 0, 0)) for at in range(3)]
    return {
        "progressive": large,
        "progressive with other pictures behind": large + gain_map * 2,
        "progressive, tuned by hand": evil.scans(40, 3000, 2000),
        "BMP with runs": evil.runs(7680, 4320, (b"\xff\x07" * 30 + b"\x1e\x09" + b"\0\0") * 4320),
        "AVIF sequence": evil.encoded(frames[0], "AVIF", save_all=True, append_images=frames[1:]),
    }


@pytest.mark.parametrize("name", ordinary())
def test_ordinary_pictures_are_within_the_limits(name: str) -> None:
    views, _ = decode_with_media(ordinary()[name], near=320)
    assert len(views) == 1


def spent() -> float:
    """Seconds of processor time of this process and its children, alive and ended."""
    own, ended = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    alive = sum(sum(one.cpu_times()[:2]) for one in psutil.Process().children(recursive=True))
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime + alive


@pytest.mark.parametrize("name", evil.TOO_LARGE)
def test_what_a_container_hides_is_judged_by_its_own_header(decoders: Decoders, name: str) -> None:
    assert outcome(decoders, evil.TOO_LARGE[name]()) == "too-many-pixels"


@pytest.mark.parametrize("near", [None, 320])
@pytest.mark.parametrize("name", evil.MUCH_MEMORY)
def test_pixels_that_take_gigabytes_stay_within_the_memory(decoders: Decoders, name: str, near: int | None) -> None:
    data = evil.MUCH_MEMORY[name]()
    assert len(data) < 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert outcome(decoders, data, near) in {"done", "too-much-memory"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < MEMORY
    assert most_of_children() < MEMORY + SPARE
    assert outcome(decoders, GOOD) == "done"


@pytest.mark.parametrize("name", ["PNG of 1 bit", "PNG with a palette"])
def test_a_thumbnail_of_a_large_plain_picture_is_made_within_little_memory(name: str) -> None:
    decoders = Decoders(Spawner(2 * MEMORY), 1, LIMIT_S)
    try:
        made = decoders.thumbnail(evil.MUCH_MEMORY[name](), 320, max_pixels=PIXELS)
    finally:
        decoders.close()
    assert made.startswith(b"RIFF")


def test_memory_that_no_header_tells_is_an_error_of_that_image() -> None:
    decoders = Decoders(Spawner(12 * 2**20), 1, LIMIT_S)
    try:
        profile = evil.chunk(b"iCCP", b"a\0\0" + evil.zeros(15 * 2**20))
        assert outcome(decoders, evil.png(8, 8, 8, 2, extra=profile)) == "too-much-memory"
        assert outcome(decoders, GOOD) == "done"
    finally:
        decoders.close()
