"""Without the extras everything that Pillow reads right is still read, and the rest names what to install."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json, sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        missing = name in {"pi_heif", "imagecodecs", "rawpy", "tifffile"}
        return None if missing else PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
from tasks.images import BadImage, decode, recognised
told = {}
for path in sys.argv[1:]:
    data = open(path, "rb").read()
    try:
        decode(data)
        told[path] = ["done", ""]
    except BadImage as exc:
        told[path] = [exc.code, str(exc)]
    told[path].append(recognised(data[:64]))
print(json.dumps(told))
"""


def test_extras_that_are_missing_are_named(tmp_path: Path) -> None:
    from tests.hostile import depths, files, layouts, metadata, refused  # noqa: PLC0415 - they need the extras

    cases = [case for module in (metadata, depths, layouts, files, refused) for case in module.cases()]
    cases = [case for case in cases if case.outcome == "done"]
    for at, case in enumerate(cases):
        (tmp_path / str(at)).write_bytes(case.make())
    names = [str(tmp_path / str(at)) for at in range(len(cases))]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    told = json.loads(done.stdout)
    wrong = {}
    for at, case in enumerate(cases):
        code, reason, media_type = told[str(tmp_path / str(at))]
        expected = "unsupported" if case.needs else "done"
        if code != expected or (case.needs and "pip install 'wildtag[" not in reason):
            wrong[case.name] = (code, reason)
        if case.name.endswith((".heic", ".jxl")):
            assert media_type is None
    assert not wrong
