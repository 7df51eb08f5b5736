"""Writes down which images a release has: ``python ops/image_names.py --cpu IMAGE --cuda IMAGE --into FOLDER``.

An image is ``NAME:TAG@DIGEST``. The folder gets ``kustomization.yaml``, which takes the place of
`ops/kubernetes/components/images/kustomization.yaml`, and ``images.env`` with the lines of ``.env`` for
`docker-compose.published.yml`. Requires only the standard library.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

COMPONENT = Path(__file__).parent / "kubernetes" / "components" / "images" / "kustomization.yaml"
NAME = re.compile(r"(?P<name>[a-z0-9.-]+(?:/[a-z0-9._-]+)+):(?P<tag>[\w.-]+)@(?P<digest>sha256:[0-9a-f]{64})")


def parts(image: str) -> dict[str, str]:
    """Name, tag and digest of an image. Raises ``ValueError`` if it lacks one."""
    found = NAME.fullmatch(image)
    if found is None:
        raise ValueError(f"not NAME:TAG@sha256:DIGEST: {image}")
    return found.groupdict()


def component(text: str, images: dict[str, str]) -> str:
    """The text of a Kustomize component with other images. ``images``: by the name that the manifests use.

    Raises ``ValueError`` if the component does not name one of them.
    """
    for name, image in images.items():
        new = parts(image)
        line = f"  - {{name: {name}, newName: {new['name']}, digest: {new['digest']}}}  # {new['tag']}"
        text, count = re.subn(rf"^  - \{{name: {name}, .*$", line, text, flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f"the component has {count} lines for {name}")
    lines = text.splitlines()
    while lines[0].startswith("#"):  # it says that there is no release
        lines.pop(0)
    return "# The images of a release, by their digests\n" + "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("cpu", "cuda"):
        reader.add_argument(f"--{option}", required=True, metavar="IMAGE")
    reader.add_argument("--into", required=True, type=Path, metavar="FOLDER")
    given = reader.parse_args(arguments)
    given.into.mkdir(parents=True, exist_ok=True)
    made = component(COMPONENT.read_text(), {"wildtag": given.cpu, "wildtag-cuda": given.cuda})
    (given.into / "kustomization.yaml").write_text(made)
    parts(given.cpu)
    (given.into / "images.env").write_text(
        f"PUBLISHED_IMAGE={given.cpu}\n# with a GPU, beside docker-compose.gpu.yml:\n#PUBLISHED_IMAGE={given.cuda}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
