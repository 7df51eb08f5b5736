"""The words that an image is found by, with weights: what the index of images stores for search by words.

The weight of a word is how sure it is that the image shows it: the confidence of a tag, less for what a tag implies,
for the labels of segments and for the words of a file name. The score of an image for a query is the sum of the
products of weights over the forms that both have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tasks.labels.implied import implied
from tasks.labels.index_form import folded, index_form

# shares of the strength: tags come first, then what segments and tags imply, as in the index of tags
SEGMENT = 0.7
IMPLIED = 0.5
NAME = 0.8  # a word of a file or folder name
WRITTEN = 1.0  # a keyword or title that a person wrote into the file
LEAST = 0.01  # a weight must be above 0 to be stored
SHORTEST = 3  # letters of a word of a file name

EDGES = '.,;:!?()[]{}"“”„«»…'  # of words
_WORD = re.compile(r"[^\W\d_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ENDING = re.compile(r"[A-Za-z][A-Za-z0-9]{1,4}")  # of file names
_ID = re.compile(r"(?i)(?=.*\d)[0-9a-f-]{16,}")  # random, though it may have "face" or "cafe" in it
# what cameras, phones and programs call files and folders
_NAMES = """
    copy cropped dcim download downloads dsc dscf dscn edit edited export file files final folder image images img
    imgp inbox jpeg jpg mvi original pano photo photos picture pictures png pxl raw scan screenshot screenshots
    thumbnail tmp unnamed untitled upload uploads version vid video wallpaper webp whatsapp
"""
_NAMELESS = frozenset(_NAMES.split())


def words_of(
    tags: Iterable[tuple[str, float, Sequence[str]]] = (),
    segments: Iterable[tuple[str, float, Sequence[str]]] = (),
    key: str = "",
    written: Iterable[str] = (),
    file_name: str = "",
) -> dict[str, float]:
    """Index form → weight, above 0 and at most 1; a form that is found in several ways has its best weight.

    ``tags``, ``segments``: label, strength (0 to 1) and the captions that are its evidence. ``key``: path of the
    file. ``written``: what a person wrote of it: titles and keywords, also beside the file. ``file_name``: what an
    uploaded file was called.
    """
    found: dict[str, float] = {}

    def add(form: str, weight: float) -> None:
        if form:
            found[form] = max(found.get(form, 0.0), min(1.0, max(LEAST, weight)))

    for share, labels in ((1.0, tags), (SEGMENT, segments)):
        for label, strength, captions in labels:
            add(index_form(label), share * strength)
            for broader in implied(label, captions):
                add(broader, share * IMPLIED * strength)
    for name in (key, file_name):
        add(whole_name(name), NAME)
        for form in _of_name(name):
            add(form, NAME)
    for text in written:
        for form in forms_of_text(text):
            add(form, WRITTEN)
    return found


def matching(asked: Mapping[str, float], has: Mapping[str, float]) -> float:
    """The score of an image for a query, as the index computes it: the sum of the products of weights."""
    return sum(weight * has[form] for form, weight in asked.items() if form in has)


def whole_name(name: str) -> str:
    """The form of a whole file name, by which numbers find it, too; empty for one without an ending, and for ids."""
    stem, dot, end = name.rpartition("/")[2].rpartition(".")
    return index_form(f"{stem}.{end}") if dot and stem and _ENDING.fullmatch(end) and not _ID.fullmatch(stem) else ""


def _of_name(key: str) -> Iterable[str]:
    """The words of the file's name and of its folder, and each two in a row."""
    *folders, name = key.split("/")
    stem = name.rsplit(".", 1)[0] if "." in name[1:] else name
    for part in (one for one in (*folders[-1:], stem) if not _ID.fullmatch(one)):
        words = [
            word
            for word in map(folded, _WORD.findall(_HUMP.sub(" ", part)))
            if len(word) >= SHORTEST and word not in _NAMELESS
        ]
        yield from _runs(words, 2)


def forms_of_text(text: str) -> set[str]:
    """The index forms that a text is found by: all of it, its words, and each two in a row, also with digits."""
    whole = folded(text)
    words = [word for part in whole.split() if (word := part.strip(EDGES))]
    return {form for form in (index_form(text), *_runs(words, 2), *_runs(_WORD.findall(whole), 2)) if form}


def _runs(words: Sequence[str], longest: int) -> Iterable[str]:
    for length in range(1, longest + 1):
        for start in range(len(words) - length + 1):
            yield index_form(" ".join(words[start : start + length]))
