"""The bucket of a run: what users did to it, and so what must be known of it at the end."""

from __future__ import annotations

import time
import uuid

import httpx

from ops.chaos.pictures import content
from ops.chaos.plan import Act
from ops.chaos.shelves import Shelf

PATIENCE_S = 90.0  # for which a write or an upload is repeated
_PAUSE_S = 0.5


class Album:
    """Carries out acts. ``expected``: key → number of the picture that is there now.

    Files are written in one step, as programs do that write carefully; a part of them is written in place.
    """

    def __init__(self, shelf: Shelf, gateway: str) -> None:
        self._shelf = shelf
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
            self._shelf.move(chosen, act.key)
            self.expected[act.key] = self.expected.pop(chosen)
            return act.key
        self._shelf.remove(chosen)
        del self.expected[chosen]
        return chosen

    def _write(self, key: str, picture: int, *, in_place: bool) -> str:
        """Write it, again while the disk is full, as a person does."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._shelf.write(key, content(picture), in_place=in_place)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_S)
        self.expected[key] = picture
        return key

    def _upload(self, act: Act) -> str | None:
        """Send it as a careful client does: again with the same key until it is accepted."""
        headers = {"Idempotency-Key": str(uuid.UUID(int=int(act.chance * 2**64) << 32 | int(act.at * 1000)))}
        headers |= {"Content-Type": "application/octet-stream"}
        body, left = content(act.picture), PATIENCE_S
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
