"""The MkDocs hook of this repository, configured in ``mkdocs.yml``.

It adds the decisions in ``ops/decisions`` as pages, replaces what is between ``<!-- generated: NAME -->`` and
``<!-- end of generated -->`` by a part of the reference (``ops/reference``), and converts equations to MathML, so
that no page needs a script. Run MkDocs as ``python -m mkdocs`` in the root of the repository, so that these modules
can be imported.
"""

from __future__ import annotations

import html
import posixpath
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert

from ops.reference import PARTS

ROOT = Path(__file__).parents[1]
DECISIONS = "ops/decisions"
# what is between the two comments says to readers of the source where the part is
GENERATED = re.compile(r"<!-- generated: (?P<name>\w+) -->\n(?P<note>.*?)\n<!-- end of generated -->", re.DOTALL)
LINK = re.compile(r"(?<=\]\()(?P<path>(?:\.\./)+(?:ops/decisions|docs)/[^)#]+)")
EQUATION = re.compile(
    r'<(?P<tag>div|span) class="arithmatex">\\[\[(](?P<tex>.*?)\\[\])]</(?P=tag)>', re.DOTALL
)  # the output of pymdownx.arithmatex


def on_config(config: Any) -> Any:
    """Add the decisions to the navigation, in the order of their numbers."""
    pages = [f"decisions/{file.name}" for file in sorted((ROOT / DECISIONS).glob("[0-9]*.md"))]
    config["nav"].append({"Decisions": ["decisions/README.md", *pages]})
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the decisions."""
    from mkdocs.structure.files import File  # noqa: PLC0415 -- so that all else works where MkDocs is not installed

    for file in sorted((ROOT / DECISIONS).glob("*.md")):
        files.append(File.generated(config, f"decisions/{file.name}", abs_src_path=str(file)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Insert the generated parts, and adjust links between ``docs`` and the decisions."""
    filled = GENERATED.sub(lambda found: PARTS[found["name"]](), markdown)
    return LINK.sub(lambda found: moved(page.file.src_uri, found["path"]), filled)


def moved(page: str, link: str) -> str:
    """Convert a link of the repository, relative to a page, to the link of the built page.

    Both are given and returned relative: ``moved("explanation/cost.md", "../../ops/decisions/0001-ledger.md")`` gives
    ``../decisions/0001-ledger.md``.
    """
    home = f"ops/{page}" if page.startswith("decisions/") else f"docs/{page}"
    target = posixpath.normpath(posixpath.join(posixpath.dirname(home), link))
    site = target.removeprefix("docs/").removeprefix("ops/")
    return posixpath.relpath(site, posixpath.dirname(page) or ".")


def on_page_content(content: str, **_: object) -> str:
    """Convert equations to MathML, which browsers render themselves."""

    def drawn(found: re.Match[str]) -> str:
        display = "block" if found["tag"] == "div" else "inline"
        return convert(html.unescape(found["tex"]), display=display)

    return EQUATION.sub(drawn, content)
