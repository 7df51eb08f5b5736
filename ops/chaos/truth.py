"""What an undisturbed system computes: one process, in a home that nobody touched, without queues."""

from __future__ import annotations

import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ops.chaos.captions import SOURCE, Lesson, wildtag
from ops.chaos.pictures import content
from vectordb.errors import Permanent

Scores = dict[str, float]
Parts = list[tuple[str, int]]

_COMMAND_S = 600.0


class Truth:
    """Tags and segments by picture and captions version."""

    def __init__(self, home: Path, lessons: Iterable[Lesson] = ()) -> None:
        """``lessons``: what the captions were taught in the run."""
        self._home = home
        self._lessons = list(lessons)
        self._taught: dict[str, bool] = {}

    def tags(self, wanted: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Scores]:
        """The score of each tag of these pictures with these captions versions."""
        found = self._computed(wanted, ("tag", "--json"))
        return {one: {tag["label"]: tag["score"] for tag in row["tags"]} for one, row in found.items()}

    def segments(self, wanted: Iterable[tuple[int, str]], method: str) -> dict[tuple[int, str], Parts]:
        """The label and the area, in per mille of the image, of each segment, by these."""
        with tempfile.TemporaryDirectory() as out:
            command = ("segment", "--method", method, "--json", "--out", out)
            found = self._computed(wanted, command)
        return {one: parts((row.get("segmentation") or row)["segments"]) for one, row in found.items()}

    def untaught_tags(self, wanted: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Scores]:
        """The same of captions that were taught nothing."""
        with self._untaught():
            return self.tags(wanted)

    def untaught_segments(self, wanted: Iterable[tuple[int, str]], method: str) -> dict[tuple[int, str], Parts]:
        """The same of captions that were taught nothing."""
        with self._untaught():
            return self.segments(wanted, method)

    @contextmanager
    def _untaught(self) -> Iterator[None]:
        lessons, self._lessons = self._lessons, []
        try:
            yield
        finally:
            self._lessons = lessons

    def _teach(self, version: str, environment: Mapping[str, str]) -> None:
        """Let this version have been taught what it shall have been."""
        texts = sorted({one.text for one in self._lessons if one.version == version})
        if bool(texts) == self._taught.get(version, False):
            return
        what = ("add", *texts) if texts else ("remove",)
        done = wildtag(("captions", *what, "--source", SOURCE, "--captions", version), environment)
        if done.returncode:
            raise Permanent(f"wildtag captions {what[0]} with {version}: {done.stderr[-1000:]}")
        self._taught[version] = bool(texts)

    def _computed(self, wanted: Iterable[tuple[int, str]], command: tuple[str, ...]) -> dict[tuple[int, str], Any]:
        pictures: dict[str, set[int]] = defaultdict(set)
        for picture, version in wanted:
            pictures[version].add(picture)
        found = {}
        for version, numbers in sorted(pictures.items()):
            environment = {**os.environ, "WILDTAG_HOME": str(self._home), "WILDTAG_CAPTIONS": version}
            self._teach(version, environment)
            with tempfile.TemporaryDirectory() as folder:
                files = [Path(folder, f"{number}.jpg") for number in sorted(numbers)]
                for file in files:
                    file.write_bytes(content(int(file.stem)))
                done = wildtag((*command, *map(str, files)), environment, _COMMAND_S)
            if done.returncode:
                raise Permanent(f"wildtag {command[0]} with {version}: {done.stderr[-1000:]}")
            for row in map(json.loads, done.stdout.splitlines()):
                name = row.get("key") or row.get("file") or row["name"]
                found[int(Path(name).stem), version] = row
        return found


def parts(segments: Iterable[Any]) -> Parts:
    """Segments as they are compared."""
    return sorted((one["label"], round(one["area"] * 1000)) for one in segments)
