"""A client that openapi-python-client makes of the specification uploads images and reads records."""

from __future__ import annotations

import importlib
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.openapi import FILE
from tests.contract.gateway.running import Running, png

PACKAGE = "generated_wildtag"
LEFT_OUT = "endpoint will not be generated"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A function that imports a module of the generated package."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "config.yml").write_text("post_hooks: []\n")
    made = subprocess.run(
        [sys.executable, "-c", "from openapi_python_client.cli import app; app()", "generate", "--path", str(FILE),
         "--output-path", str(folder / PACKAGE), "--meta", "none", "--config", str(folder / "config.yml")],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert LEFT_OUT not in made.stdout + made.stderr
    sys.path.insert(0, str(folder))
    yield lambda name: importlib.import_module(f"{PACKAGE}.{name}")
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_it_uploads_an_image_and_reads_its_record(gateway: Running, generated: Any) -> None:
    client = generated("client").Client(base_url=gateway.url)
    file = generated("types").File(payload=io.BytesIO(png("raw")), file_name="cat.png")
    stored = generated("api.images.upload_image").sync(client=client, body=file, client_id="4711")
    assert isinstance(stored, generated("models").Progress)
    ref = gateway.wiring.store.stat(stored.bucket, stored.key)
    assert ref is not None
    gateway.enter(ref.ref)
    gateway.finish(ref.ref, "cat")
    image = generated("api.images.get_image").sync(client=client, id=stored.id)
    assert (image.state, [tag.label for tag in image.record.tags]) == ("done", ["cat"])
    thumbnail = generated("api.images.get_thumbnail").sync(client=client, bucket=stored.bucket, key=stored.key)
    assert thumbnail.payload.read(4) == b"RIFF"
    content = generated("api.images.get_content").sync(client=client, bucket=stored.bucket, key=stored.key)
    assert content.payload.read() == png("raw")


@pytest.mark.parametrize("further", [0, 2])
def test_it_uploads_a_form(gateway: Running, generated: Any, further: int) -> None:
    """It sends files without names."""
    client, file = generated("client").Client(base_url=gateway.url), generated("types").File
    body = generated("models").UploadImageFilesBody(
        image=file(payload=io.BytesIO(png("form"))), client_id="1",
        **({"images": [file(payload=io.BytesIO(png(str(n)))) for n in range(further)]} if further else {}),
    )  # fmt: skip
    stored = generated("api.images.upload_image").sync(client=client, body=body)
    assert len(getattr(stored, "images", [stored])) == 1 + further
    assert len(gateway.stored()) == 1 + further


def test_it_gets_problems_as_such(gateway: Running, generated: Any) -> None:
    client = generated("client").Client(base_url=gateway.url)
    refused = generated("api.images.get_image").sync(client=client, id="0" * 32)
    assert isinstance(refused, generated("models").Problem)
    assert refused.type_ == "urn:wildtag:problem:not-found"


def test_every_operation_has_a_function(generated: Any) -> None:
    folder = Path(generated("api").__file__).parent
    made = {path.stem for path in folder.glob("*/*.py")}
    assert {"upload_image", "upload_by_form", "search_images_by_image", "get_thumbnail", "get_overlay",
            "get_label_map", "get_content", "watch_feed"} <= made  # fmt: skip
