"""Checks a stack that runs by Docker Compose: ``python ops/compose_check.py secrets``, then ``… image``.

``secrets`` writes ``.env`` with random secrets for a temporary stack. ``image`` stores a photograph in the bucket
without using the gateway, and waits until the gateway serves its record with tags. The variable ``COMPOSE_FILE`` of
Compose names further files. Requires only the standard library and ``docker compose``.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from vectordb.proxies import DIRECT

ROOT = Path(__file__).parents[1]
KEY = "compose-check/chelsea.png"
PATIENCE_S = 900.0  # models are loaded and captions encoded meanwhile, on a machine of two to four cores
REST_S = 2.0  # between two requests that found no record
# runs in a container of ours, which has an S3 client, its credentials and scikit-image's photographs
PUT = """
import os, sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from minio import Minio
where = urlsplit(os.environ["WILDTAG_S3_ENDPOINT"])
client = Minio(where.netloc, os.environ["WILDTAG_S3_ACCESS_KEY"], os.environ["WILDTAG_S3_SECRET_KEY"],
               secure=where.scheme == "https", region=os.environ["WILDTAG_S3_REGION"])
photograph = Path(find_spec("skimage").origin).with_name("data") / Path(sys.argv[1]).name
client.fput_object(os.environ["WILDTAG_BUCKET"], sys.argv[1], str(photograph), "image/png")
"""


def filled(example: str) -> str:
    """``.env.example`` with a random value for every variable that has none."""

    def one(found: re.Match[str]) -> str:
        secret = secrets.token_hex(24)
        return f"{found[1]}={f'check:{secret}' if found[1].endswith('_AUTH') else secret}"

    env = re.sub(r"^([A-Z][A-Z0-9_]*)=$", one, example, flags=re.MULTILINE)
    return f"{env}RABBITMQ_PASSWORD={secrets.token_hex(24)}\n"  # of docker-compose.rabbitmq.yml alone


def value(env: str, name: str, default: str = "") -> str:
    """The value of a variable in the text of an ``.env`` file."""
    found = re.search(rf"^{name}=(.+)$", env, re.MULTILINE)
    return found[1] if found else default


def await_record(address: str, key: str, patience_s: float = PATIENCE_S, rest_s: float = REST_S) -> dict[str, Any]:
    """The final state of the object at an address of the gateway: ``state``, and ``record`` with its tags.

    Raises ``TimeoutError``. Waits for an object that is not known yet, and for a gateway that does not answer yet.
    """
    request = urllib.request.Request(f"{address}?wait=20", headers={"Authorization": f"Bearer {key}"})
    deadline = time.monotonic() + patience_s
    last: object = "nothing"
    while time.monotonic() < deadline:
        try:
            with DIRECT.open(request, timeout=60) as response:
                last = json.load(response)
        except urllib.error.HTTPError as exc:
            last = f"status {exc.code}"
        except OSError as exc:
            last = exc
        if isinstance(last, dict) and last["state"] in {"done", "failed", "dead", "skipped"}:
            return last
        time.sleep(rest_s)  # a service that is not ready answers at once
    raise TimeoutError(f"no record after {patience_s:.0f} s; the last answer was {last}")


def check() -> int:
    """Store a photograph in the bucket and print its tags. Returns 0 if it has tags."""
    env = (ROOT / ".env").read_text()
    subprocess.run(["docker", "compose", "exec", "-T", "dispatcher", "python", "-c", PUT, KEY], cwd=ROOT, check=True)
    gateway = f"http://127.0.0.1:{value(env, 'GATEWAY_PORT', '8080')}"
    begun = time.monotonic()
    address = f"{gateway}/v1/objects/{value(env, 'WILDTAG_BUCKET', 'inbox')}/{KEY}"
    found = await_record(address, value(env, "WILDTAG_ADMIN_KEY"))
    tags = [tag["label"] for tag in (found["record"] or {}).get("tags") or ()]
    print(f"{found['state']} after {time.monotonic() - begun:.1f} s: {', '.join(tags) or 'no tags'}")
    return 0 if found["state"] == "done" and tags else 1


def main(arguments: list[str]) -> int:
    match arguments:
        case ["secrets"]:
            env = ROOT / ".env"
            with env.open("x") as file:  # never overwrite an existing file
                env.chmod(0o600)
                file.write(filled((ROOT / ".env.example").read_text()))
            return 0
        case ["image"]:
            return check()
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
