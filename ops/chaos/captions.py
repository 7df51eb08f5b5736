"""The caption databases of a run: two small ones beside the starter captions, switched and taught by command."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vectordb.errors import Permanent
from vectordb.starter.captions import captions

SMALL = {"even": 0, "odd": 1}
"""Name of each small database, and which captions of the starter set it has."""

EVERY = 40  # of the captions that only one of them has
FOLLOWED_S = 120.0  # after a lesson, within which all images are tagged again that it concerns
GRACE_S = 10.0  # after a switch, within which an image may be tagged with the captions of before
SOURCE = "chaos"
"""Of the captions that are taught."""

_COMMAND_S = 180.0


@dataclass
class Used:
    """A switch: to which version, and between which times it took effect. ``done``: ``None`` if that is not known."""

    version: str
    began: float
    done: float | None = None


@dataclass
class Lesson:
    """A caption that is taught to a version. ``done``: when the command succeeded; ``None`` if it never did.

    ``followed``: whether the stack has been told to tag the images again that it concerns.
    """

    version: str
    text: str
    began: float
    done: float | None = None
    followed: bool = False


class Switches:
    """Which captions were in use when, and what they were taught. Commands are repeated until they succeed."""

    def __init__(self, environment: Callable[[], Mapping[str, str]], versions: list[str], active: str) -> None:
        """``versions``: those that are switched between. Without any, nothing is switched."""
        self._environment = environment
        self.versions = versions
        self._lock = threading.RLock()
        self.ended = threading.Event()
        self.lessons: list[Lesson] = []
        self.taught_at: list[float] = []
        """When each command began that teaches, those that failed included."""
        self.used = [Used(active, float("-inf"), float("-inf"))]

    def switch(self, variant: float) -> None:
        """Switch to one that is not in use."""
        others = [one for one in self.versions if one != self.used[-1].version]
        if others:
            with self._lock:
                self.use(others[int(variant * len(others))])

    def known(self) -> set[str]:
        """The versions that there are."""
        return {*self.versions, *(one.version for one in self.used)}

    def use(self, version: str) -> None:
        """Tag new images with this version from now on."""
        used = Used(version, time.monotonic())
        self.used.append(used)
        while not self.ended.is_set():
            if self.command("captions", "use", version).returncode == 0:
                used.done = time.monotonic()
                return
            time.sleep(1)

    def restore(self, file: Path) -> str:
        """Drop the versions that are not in use one after the other and restore them, under load, as documented.

        ``file``: the snapshot of the one that is dropped. Returns its version.
        """
        version = file.name.removesuffix(".tar.zst").replace("--", "@")
        with self._lock:
            if self.used[-1].version == version:
                self.use(next(one for one in self.versions if one != version))
            for what in (("drop", version, "--yes"), ("restore", str(file))):
                deadline = time.monotonic() + _COMMAND_S
                while (done := self.command("captions", *what)).returncode:
                    if time.monotonic() > deadline:
                        raise Permanent(f"captions {what[0]}: {done.stderr[-500:]}")
                    time.sleep(1)  # images in progress still need it
            self.use(version)
            self.teach_again(version)
        return version

    def teach(self, text: str) -> None:
        """Add a caption to those in use."""
        with self._lock:
            lesson = Lesson(self.used[-1].version, text, time.monotonic())
            self.lessons.append(lesson)
            self._teach(lesson, float("inf"))

    def teach_again(self, version: str) -> None:
        """Repeat what this version was taught, after it was replaced by an older copy. Raises ``Permanent``."""
        with self._lock:
            for lesson in self.lessons:
                if lesson.version == version and not self._teach(lesson, time.monotonic() + _COMMAND_S):
                    raise Permanent(f"{version} cannot be taught {lesson.text!r} again")

    def _teach(self, lesson: Lesson, deadline: float) -> bool:
        tried = False
        while not self.ended.is_set() and time.monotonic() < deadline:
            self.taught_at.append(time.monotonic())
            done = self.command(
                "captions", "add", lesson.text, "--source", SOURCE, "--captions", lesson.version, "--json"
            )
            if done.returncode == 0:
                lesson.done = time.monotonic()
                rows = [json.loads(line) for line in done.stdout.splitlines()]
                # no row: it is there already. A first try that failed may not have reached the stack
                lesson.followed = rows[0]["images"] is not None if rows else lesson.followed and not tried
                return True
            tried = True
            time.sleep(1)
        return False

    def unfollowed(self, lost_at: list[tuple[float, float]]) -> frozenset[str]:
        """The versions of whose lessons it is not sure that images were tagged again.

        ``lost_at``: times between which Redis has lost what it had acknowledged.
        """
        return frozenset(
            one.version for one in self.lessons
            if one.done is None or not one.followed
            or any(one.began <= end and begin <= one.done + FOLLOWED_S for begin, end in lost_at)
        )  # fmt: skip

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``wildtag`` against the stack."""
        return wildtag(arguments, self._environment())

    def allowed(self, changed: float) -> set[str]:
        """The versions with which an object may be tagged that was changed at this time."""
        found = set()
        for one, after in zip(self.used, [*self.used[1:], None], strict=True):
            until = None if after is None else after.done
            if until is None or until + GRACE_S >= changed:
                found.add(one.version)
        return found


def import_small(environment: Mapping[str, str], folder: Path) -> list[str]:
    """Import the small databases, in a home in which no stack runs. Returns their versions."""
    made = []
    for name, rest in SMALL.items():
        file = folder / f"{name}.txt"
        lines = [c.text for n, c in enumerate(captions()) if n % EVERY in {rest, 2}]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = wildtag(("captions", "import", str(file), "--name", name, "--version", "1"), environment)
        if done.returncode and "exists" not in done.stderr:
            raise Permanent(f"captions import: {done.stderr[-1000:]}")
        file.unlink()
        made.append(f"{name}@1")
    return made


def taught(version: str, environment: Mapping[str, str], patience_s: float = _COMMAND_S) -> set[str]:
    """What a version was taught in a run. Raises ``Permanent`` if it cannot be read within ``patience_s``."""
    deadline = time.monotonic() + patience_s
    while (done := wildtag(
        ("captions", "taught", "--source", SOURCE, "--captions", version, "--json"), environment
    )).returncode:  # fmt: skip
        if time.monotonic() > deadline:
            raise Permanent(f"captions taught of {version}: {done.stderr[-500:]}")
        time.sleep(1)
    return {str(json.loads(line)["caption"]) for line in done.stdout.splitlines()}


def active_version(environment: Mapping[str, str]) -> str:
    """The version that is in use. Raises ``Permanent`` if there is none."""
    done = wildtag(("captions", "list", "--json"), environment)
    for row in map(json.loads, done.stdout.splitlines()):
        if row.get("active"):
            return str(row["captions_version"])
    raise Permanent(f"no captions are in use: {done.stderr[-1000:]}")


def wildtag(
    arguments: tuple[str, ...], environment: Mapping[str, str], timeout_s: float = _COMMAND_S
) -> subprocess.CompletedProcess[str]:
    """Run the command line. A command that does not end in time has the status 124."""
    command = [sys.executable, "-P", "-m", "workers.cli", *arguments]
    try:
        return subprocess.run(
            command, env=dict(environment), capture_output=True, text=True, check=False, timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"not done after {timeout_s:g} s")
