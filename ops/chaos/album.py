"""The bucket of a run, a folder: what users did to it, and so what must be known of it at the end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx

from ops.chaos.pictures import content
from ops.chaos.plan import Act

UPLOADS_S = 90.0  # for which an upload is repeated
_PAUSE_S = 0.5


class Album:
    """Carries out acts. ``expected``: key → number of the picture that is there now.

    Files are written in one step, as programs do that write carefully; a part of them is written in place.
    """

    def __init__(self, inbox: Path, gateway: str) -> None:
        self._inbox = inbox
        self._gateway = gateway
        self.expected: dict[str, int] = {}
        self.refused: list[str] = []
        """Uploads that were never accepted: nothing was promised of them."""

    def act(self, act: Act) -> str | None:
        """Do it. Returns the key that has changed, or ``None`` if there was nothing to do it to."""
        if act.what == "put":
            return self._write(act.key, act.picture, in_place=act.chance < 0.3)
        if act.what == "upload":
            return self._upload(act)
        there = sorted(self.expected)
        if not there:
            return self._write(act.key, act.picture, in_place=False)
        chosen = there[int(act.chance * len(there))]
        if act.what == "overwrite":
            return self._write(chosen, act.picture, in_place=act.picture % 2 == 0)
        if act.what == "move":
            to = self._inbox / act.key
            to.parent.mkdir(parents=True, exist_ok=True)
            (self._inbox / chosen).rename(to)
            self.expected[act.key] = self.expected.pop(chosen)
            return act.key
        with suppress(FileNotFoundError):
            (self._inbox / chosen).unlink()
        del self.expected[chosen]
        return chosen

    def files(self) -> Iterator[tuple[str, Path]]:
        """The files that must be there, by key."""
        for key in self.expected:
            yield key, self._inbox / key

    def _write(self, key: str, picture: int, *, in_place: bool) -> str:
        file = self._inbox / key
        file.parent.mkdir(parents=True, exist_ok=True)
        data = content(picture)
        if in_place:
            with file.open("wb") as opened:
                opened.write(data[: len(data) // 2])
                opened.flush()
                opened.write(data[len(data) // 2 :])
        else:
            temporary = file.with_name(f".{file.name}.part")
            temporary.write_bytes(data)
            temporary.replace(file)
        self.expected[key] = picture
        return key

    def _upload(self, act: Act) -> str | None:
        """Send it as a careful client does: again with the same key until it is accepted."""
        headers = {"Idempotency-Key": str(uuid.UUID(int=int(act.chance * 2**64) << 32 | int(act.at * 1000)))}
        headers |= {"Content-Type": "application/octet-stream"}
        body, left = content(act.picture), UPLOADS_S
        with httpx.Client(base_url=self._gateway, timeout=30, trust_env=False) as http:
            while left > 0:
                try:
                    answer = http.post("/v1/images", content=body, headers=headers)
                except httpx.HTTPError:
                    left -= _PAUSE_S
                    time.sleep(_PAUSE_S)
                    continue
                if answer.status_code == 202:
                    key: str = answer.json()["key"]
                    self.expected[key] = act.picture
                    return key
                if answer.status_code < 500 and answer.status_code not in {409, 429}:
                    break  # a file that the gateway refuses: nothing was promised
                left -= _PAUSE_S
                time.sleep(_PAUSE_S)
        self.refused.append(act.key)
        return None
