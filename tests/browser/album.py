"""Photographs in a folder of the bucket for tests of search, teaching and duplicates, and what is known of them."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from PIL import Image, ImageEnhance, ImageOps

from tests.acceptance.images import drop, photograph
from tests.acceptance.stack import Stack
from tests.eventually import eventually

FOLDER = "album/"
HOSTILE = "<img src=x onerror=alert(1)>.jpg"


def _jpeg(image: Image.Image, quality: int = 90) -> bytes:
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=quality)
    return out.getvalue()


def _changed(
    name: str, change: Callable[[Image.Image], Image.Image] = lambda image: image, quality: int = 90
) -> bytes:
    return _jpeg(change(Image.open(io.BytesIO(photograph(name))).convert("RGB")), quality)


def darker(image: Image.Image) -> Image.Image:
    """The same scene, less exposed."""
    return ImageEnhance.Brightness(image).enhance(0.7)


def fill(stack: Stack) -> None:
    """Put the photographs into the bucket, and wait until they are tagged."""
    images = {
        "cat.jpg": _changed("chelsea.png"),
        "cat darker.jpg": _changed("chelsea.png", darker),
        "cat mirrored.jpg": _changed("chelsea.png", ImageOps.mirror),
        "coffee.jpg": _changed("coffee.png"),
        "rocket.jpg": _changed("rocket.jpg"),
        HOSTILE: _changed("motorcycle_left.png", lambda image: image.resize((500, 340))),
    }
    for name, data in images.items():
        drop(stack.inbox, FOLDER + name, data)
    settled(stack, *images)


def copies(stack: Stack, folder: str) -> list[str]:
    """A picture and two smaller copies of it, tagged; their names, the largest first."""
    picture = Image.open(io.BytesIO(photograph("astronaut.png"))).convert("RGB")
    names = [f"{folder}/{size}.jpg" for size in (512, 400, 300)]
    for size, name in zip((512, 400, 300), names, strict=True):
        drop(stack.inbox, FOLDER + name, _jpeg(picture.resize((size, size))))
    settled(stack, *names)
    return names


def one_more(stack: Stack, address: str, name: str) -> None:
    """One more photograph, tagged and found by the words of its name."""
    drop(stack.inbox, FOLDER + name, _changed("coffee.png", lambda image: image.crop((0, 0, 400, 300)), 80))
    settled(stack, name)
    words = name.rpartition(".")[0]
    eventually(
        lambda: FOLDER + name in {image["key"] for image in asked(address, "/v1/search", q=words)["images"]},
        60,
        lambda: f"{name} is not found by its words",
        despite=(urllib.error.HTTPError,),
    )


def settled(stack: Stack, *names: str) -> None:
    """Wait until files of the folder have their records."""
    wanted = {FOLDER + name for name in names}
    eventually(lambda: wanted <= stack.known().keys(), 120, lambda: f"of {wanted} only {sorted(stack.known())}")


def asked(address: str, path: str, **query: str) -> dict[str, Any]:
    """What the gateway answers."""
    with urllib.request.urlopen(f"{address}{path}?{urlencode(query)}", timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def record(address: str, name: str) -> dict[str, Any]:
    """The record of a file of the folder, once it is not being tagged again."""
    found: dict[str, Any] = asked(address, f"/v1/objects/inbox/{quote(FOLDER + name)}", wait="30")["record"]
    return found


def labels(address: str, name: str) -> list[str]:
    """The tags of a file of the folder."""
    return [tag["label"] for tag in record(address, name)["tags"]]


def forget(address: str) -> None:
    """Take back everything that was said of images: other tests have the same photographs."""
    for one in asked(address, "/v1/statements", limit="500")["statements"]:
        body = json.dumps({"label": one["label"], "accepted": None}).encode()
        where = f"{address}/v1/objects/{one['bucket']}/{quote(one['key'])}:tag"
        said = urllib.request.Request(where, body, {"Content-Type": "application/json"}, method="POST")
        with urllib.request.urlopen(said, timeout=60):
            pass


def gone(address: str, name: str) -> bool:
    """Whether a file of the folder is not in the bucket."""
    try:
        record(address, name)
    except urllib.error.HTTPError as exc:
        return exc.code == 404
    return False


def indexed(address: str, *names: str) -> None:
    """Wait until files of the folder are found by their vectors."""

    def found() -> bool:
        page = asked(address, "/v1/search", like=FOLDER + names[0], limit="500")
        return {FOLDER + name for name in names[1:]} <= {image["key"] for image in page["images"]}

    eventually(found, 60, lambda: f"not all of {names} are in the index of images", despite=(urllib.error.HTTPError,))
