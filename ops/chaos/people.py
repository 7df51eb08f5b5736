"""What people do over the HTTP API and by commands: they upload, segment, tag again, teach, and switch captions.

Each call is repeated until it is answered, as a careful client does, so that it is known what was accepted.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from ops.chaos.album import Album
from ops.chaos.buckets import NAME
from ops.chaos.captions import Switches
from ops.chaos.pictures import NAMES, content
from ops.chaos.plan import SEGMENTED, Act

PATIENCE_S = 1800.0  # for which a call is repeated
METHOD = "regions"  # of segmentations: the cheapest one
TAUGHT = frozenset({0, 1})
"""The photographs of which people say something. Images of the others must be tagged once, and not again."""

LESSONS = ("Egyptian cat, chaos", "espresso, chaos")
"""Captions that are taught, each with a number. They change the scores of the photographs of ``TAUGHT``."""

_PAUSE_S = 0.5
_AGAIN = frozenset({409, 429})


@dataclass(frozen=True)
class Said:
    """A statement that was answered. ``accepted``: ``None`` took back what was said.

    ``etag``: the version that it was said of. ``problem``: why the answer said that it is not complete. ``near``: the
    keys of the images that are to be tagged again. ``photograph``: what was in it, in ``NAMES``.
    """

    key: str
    label: str
    accepted: bool | None
    etag: str
    at: float
    problem: str | None
    near: tuple[str, ...]
    photograph: int = -1


@dataclass(frozen=True)
class Retagged:
    """A request to tag an object again that was accepted. ``at_ms``: by the clock of Redis; ``at``: monotonic."""

    key: str
    at_ms: int
    at: float


class People:
    """Carries out what goes over the API with ``key``. ``redis_ms`` reads the clock of Redis."""

    def __init__(
        self, album: Album, gateway: Callable[[], str], key: str, switches: Switches, redis_ms: Callable[[], int],
        bucket: str = NAME,
    ) -> None:  # fmt: skip
        self._album = album
        self._gateway = gateway
        self._headers = {"Authorization": f"Bearer {key}"}
        self._switches = switches
        self._redis_ms = redis_ms
        self._objects = f"/v1/objects/{bucket}/"
        self.refused: list[str] = []
        """Uploads that were never accepted: nothing was promised of them."""
        self.said: list[Said] = []
        self.unsure: set[tuple[str, str]] = set()
        """Key and label of statements of which it is not known whether they were stored."""
        self.retagged: list[Retagged] = []
        self.segmented: dict[str, float] = {}
        """Keys of uploads that were to be segmented, and when they were accepted."""
        self.ended = threading.Event()

    def act(self, act: Act) -> tuple[str, ...]:
        """Do it. Returns the keys that have changed."""
        if act.what == "upload":
            return self._upload(act)
        if act.what == "teach":
            self._switches.teach(f"{LESSONS[int(act.variant * len(LESSONS))]} {act.key.removesuffix('.jpg')[-5:]}")
            return ()
        if act.what == "switch":
            self._switches.switch(act.variant)
            return ()
        there = self._album.there()
        able = sorted(key for key, picture in there.items() if picture >= 0)
        if act.what == "say":
            able = [key for key in able if there[key] % len(NAMES) in TAUGHT]
        if not able:
            return ()
        chosen = able[int(act.chance * len(able))]
        return self._retag(chosen) if act.what == "retag" else self._say(chosen, there, act)

    def _upload(self, act: Act) -> tuple[str, ...]:
        """Send it as a careful client does: again with the same key until it is accepted."""
        headers = {"Idempotency-Key": str(uuid.UUID(int=int(act.chance * 2**64) << 32 | int(act.at * 1000)))}
        headers |= {"Content-Type": "application/octet-stream"}
        wanted = act.picture >= 0 and act.variant < SEGMENTED
        began = time.monotonic()
        answer, _ = self._call(
            "POST", "/v1/images", content=content(act.picture), headers=headers,
            params={"segment": METHOD} if wanted else None, again=_AGAIN,
        )  # fmt: skip
        if answer is None or answer.status_code != 202:
            self.refused.append(act.key)
            return ()
        key: str = answer.json()["key"]
        self._album.put(key, act.picture, began)
        if wanted:
            self.segmented[key] = time.monotonic()
        return (key,)

    def _retag(self, key: str) -> tuple[str, ...]:
        answer, _ = self._call("POST", self._path(key, ":retag"), again=frozenset({429}))
        if answer is None or answer.status_code != 202:
            return ()  # it is not known yet, or removed
        self.retagged.append(Retagged(key, self._redis_ms(), time.monotonic()))
        return (key,)

    def _say(self, key: str, there: Mapping[str, int], act: Act) -> tuple[str, ...]:
        """Accept a new label, reject the best one of the method, or take back what was said last."""
        mine = [one for one in self.said if one.key == key and one.accepted is not None]
        if act.variant < 0.5:
            label, accepted = f"chaos {act.key.removesuffix('.jpg')[-5:]}", True
        elif act.variant < 0.75 and mine:
            label, accepted = mine[-1].label, None
        else:
            answer, _ = self._call("GET", self._path(key))
            record = answer.json().get("record") if answer is not None and answer.status_code == 200 else None
            tags = [tag["label"] for tag in (record or {}).get("tags", ()) if not tag.get("source")]
            if not tags:
                return ()
            label, accepted = tags[0], False
        answer, doubtful = self._call(
            "POST", self._path(key, ":tag"), json={"label": label, "accepted": accepted}, again=frozenset({429})
        )
        if answer is None or answer.status_code != 200:
            if doubtful:
                self.unsure.add((key, label))
            return ()  # it has no finished record
        body = answer.json()
        near = tuple(str(one["key"]) for one in body["near"])
        etag = str(body["record"]["etag"])
        photograph = there[key] % len(NAMES)
        self.said.append(Said(key, label, accepted, etag, time.monotonic(), body["problem"], near, photograph))
        return (key, *near)

    def _path(self, key: str, action: str = "") -> str:
        return quote(self._objects + key) + action

    def _call(
        self, method: str, path: str, *, again: frozenset[int] = frozenset(), **request: Any
    ) -> tuple[httpx.Response | None, bool]:
        """The answer, and whether an earlier try may have been carried out without one.

        Repeated while nobody answers, for errors of the server, and for the statuses of ``again``.
        """
        deadline, doubtful = time.monotonic() + PATIENCE_S, False
        while time.monotonic() < deadline and not self.ended.is_set():
            try:
                with httpx.Client(
                    base_url=self._gateway(), headers=self._headers, timeout=30, trust_env=False
                ) as http:
                    answer = http.request(method, path, **request)
            except (httpx.HTTPError, OSError, KeyError, ValueError):
                doubtful = True
            else:
                if answer.status_code < 500 and answer.status_code not in again:
                    return answer, doubtful
                doubtful = doubtful or answer.status_code >= 500
            time.sleep(_PAUSE_S)
        return None, doubtful


def standing(said: list[Said], came_from: Mapping[str, str], key: str) -> dict[str, Said]:
    """The last statement of each label of an object, those of the keys that it was moved from included."""
    names = [key]
    while names[-1] in came_from:
        names.append(came_from[names[-1]])
    found: dict[str, Said] = {}
    for one in said:
        if one.key in names:
            found[one.label] = one
    return found
