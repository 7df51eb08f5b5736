"""Changed, cut and spliced files of every format: an image or a ``BadImage``, in bounded time and memory."""

from __future__ import annotations

import resource
import time
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.images import BadImage, decode, decode_with_media
from tests.hostile import raws
from tests.hostile.depths import WIDE_RGB
from tests.hostile.files import WHOLE
from tests.hostile.layouts import written
from tests.hostile.metadata import MALFORMED, _jpeg
from tests.hostile.picture import base, encoded, swapped_profile

GOOD = {name: make() for name, make in WHOLE.items()} | {
    "exif.jpg": _jpeg(6, MALFORMED["x-resolution-nan"]),
    "profile.png": encoded(base(), "PNG", icc_profile=swapped_profile()),
    "wide.tif": written(WIDE_RGB, photometric="rgb", compression="zlib", predictor=True),
    **{name: make() for name, make in raws.MAKERS.items()},
    "canon.cr3": raws.cr3(),
}
if find_spec("av"):
    from tests.hostile import videos

    GOOD |= {name: videos.made(name, count=12) for name in videos.FORMATS}
LONGEST_S = 10.0
MOST_BYTES = 600 * 2**20  # beyond what the process had before
PIXELS = 4_000_000


@st.composite
def changed(draw: st.DrawFn) -> tuple[str, bytes]:
    """A good file with bytes changed, a part cut out or doubled, or the end cut off."""
    name = draw(st.sampled_from(sorted(GOOD)))
    data = bytearray(GOOD[name])
    early = min(len(data), 600)  # headers are where decoders believe what they read
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, (early if draw(st.booleans()) else len(data)) - 1))
        data[at] = draw(st.one_of(st.integers(0, 255), st.sampled_from([0, 1, 127, 128, 255])))
    what = draw(st.sampled_from(["nothing", "nothing", "cut", "without", "doubled", "zeros"]))
    begin = draw(st.integers(0, len(data) - 1))
    end = draw(st.integers(begin, len(data)))
    if what == "cut":
        del data[begin:]
    elif what == "without":
        del data[begin:end]
    elif what == "doubled":
        data[begin:begin] = data[begin:end]
    elif what == "zeros":
        data[begin:end] = bytes(end - begin)
    return name, bytes(data)


def tried(data: bytes) -> None:
    start = time.process_time()
    reason = ""
    try:
        views, media = decode_with_media(data, max_pixels=PIXELS, gps=True, video=True)
    except BadImage as exc:
        reason = str(exc)
    else:
        assert all(view.mode == "RGB" for view in views)
        assert all(view.width * view.height <= PIXELS for view in views)
        assert media.width > 0
        assert media.height > 0
        reason = "none"
    assert 0 < len(reason) < 2000
    assert time.process_time() - start < LONGEST_S


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("name", sorted(GOOD))
def test_the_files_to_be_changed_are_good(name: str) -> None:
    assert decode(GOOD[name], video=True).mode == "RGB"


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(changed())
def test_changed_files(case: tuple[str, bytes]) -> None:
    before = _peak()
    tried(case[1])
    assert _peak() - before < MOST_BYTES


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(changed())
def test_many_changed_files(case: tuple[str, bytes]) -> None:
    before = _peak()
    tried(case[1])
    assert _peak() - before < MOST_BYTES
