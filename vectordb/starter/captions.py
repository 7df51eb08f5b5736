"""The starter list as captions, and a version that depends on list and template."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.resources import files

from vectordb.captions import Caption

NAME = "starter"
TEMPLATE = "{noun}, a kind of {broader}"


def pairs() -> Iterator[tuple[str, str]]:
    """Every (noun, broader noun) of the list, in the list's order."""
    for line in _list().splitlines():
        noun, _, broader = line.partition("\t")
        yield noun, broader


def captions(template: str = TEMPLATE) -> Iterator[Caption]:
    """One caption per line of the list; a template without the broader noun may repeat captions.

    The payload holds ``noun`` and ``broader``.
    """
    for noun, broader in pairs():
        yield Caption.of(template.format(noun=noun, broader=broader), noun=noun, broader=broader)


def version(template: str = TEMPLATE) -> str:
    """Ten hexadecimal digits that change with the list or the template."""
    return hashlib.blake2b(f"{template}\n{_list()}".encode(), digest_size=5).hexdigest()


def _list() -> str:
    return files("vectordb.starter").joinpath("nouns.tsv").read_text(encoding="utf-8")
