"""The README, the documentation and the decisions as text: links, code blocks and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DECISIONS = sorted((ROOT / "ops" / "decisions").glob("*.md"))
GUIDES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [*GUIDES, *DECISIONS]

BLOCK = re.compile(
    r"(?:<!-- (?P<mark>not run: .+?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
INLINE = re.compile(r"(?<!`)`(?P<code>[^`\n]+)`(?!`)")
BETWEEN = {";", "&&", "||", "|", "&"}


@dataclass(frozen=True)
class Block:
    """A code block; ``mark`` says why it is not run, where it is not."""

    language: str
    text: str
    mark: str | None


def name_of(page: Path) -> str:
    """A page by its place in the repository."""
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[Block]:
    """The code blocks of one language, in order."""
    found = (Block(one["language"], one["text"], one["mark"]) for one in BLOCK.finditer(page.read_text()))
    return [block for block in found if block.language == language]


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return BLOCK.sub("", page.read_text())


def links(page: Path) -> list[str]:
    """Where it points to in this repository."""
    return [one["target"] for one in LINK.finditer(prose(page)) if not re.match(r"[a-z]+:", one["target"])]


def typed(block: Block) -> list[str]:
    """The lines of a console block that a person types, without the prompt."""
    return [line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ ")]


def commands(line: str) -> Iterator[list[str]]:
    """The commands of a shell line as words, without variables before them."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in BETWEEN:
            words.append(word)
            continue
        while words and re.match(r"[A-Z_][A-Z0-9_]*=", words[0]):
            words = words[1:]
        if words:
            yield words
        words = []


def of_wildtag(page: Path) -> Iterator[list[str]]:
    """Every use of ``wildtag`` in the console blocks and in the text, as the words behind it."""
    lines = [line for block in blocks(page, "console") for line in typed(block)]
    lines += [
        one["code"] for one in INLINE.finditer(prose(page)) if re.match(r"(?:[A-Z_]+=\S+ )*wildtag ", one["code"])
    ]
    for line in lines:
        for words in commands(line):
            if "wildtag" in words and (words[0] == "wildtag" or "exec" in words):
                yield words[words.index("wildtag") + 1 :]
