"""Names of columns: which hold captions, and whether a row is a header."""

from __future__ import annotations

import re
from collections.abc import Sequence

# frequent names of the caption column, most likely first; case-insensitive
CAPTION_NAMES = (
    "caption", "captions", "text", "texts", "title", "alt_text", "alt-text", "alttext", "alt text", "alt",
    "description", "descriptions", "sentence", "sentences", "raw", "comment", "comments", "prompt", "prompts",
    "caption_text", "image_caption", "img_caption", "long_caption", "short_caption", "re_caption", "recaption",
    "blip_caption", "llava_caption", "synthetic_caption", "original_caption", "en_caption", "caption_en",
    "caption_reference_description", "caption_alt_text_description", "image_description", "answer", "phrase",
)  # fmt: skip
# other frequent names in headers of caption files; such a word in the first row marks it as a header
_OTHER_NAMES = {
    "url", "image_url", "image_path", "image_name", "image", "images", "img", "filename", "file_name", "file",
    "filepath", "file_path", "path", "image_id", "img_id", "imgid", "id", "key", "similarity", "score", "split",
    "license", "licence", "language", "lang", "width", "height", "sentids", "comment_number", "caption_number",
    "date", "author", "source", "hash", "md5", "sha256", "tags", "label", "labels", "category", "name",
}  # fmt: skip
_NAME = re.compile(r"[^\W\d][\w .:#()/-]{0,40}|#[\w .:-]{0,40}|_[\w .:-]{0,40}")
_NUMBERED = re.compile(r"(?P<stem>.*?[^\W\d_])[ _.-]?(?P<number>\d{1,2})")


def is_header(row: Sequence[str]) -> bool:
    """Whether a row is a header: all fields differ and look like names, and one is known."""
    names = [name.strip().strip("\"'") for name in row]
    known = {name.lower() for name in names} & {*CAPTION_NAMES, *_OTHER_NAMES}
    numbered = not known and len(numbered_captions(names)) > 1
    return (
        (bool(known) or numbered)
        and len(set(names)) == len(names)
        and all(not name or _NAME.fullmatch(name) for name in names)
    )


def all_known(row: Sequence[str]) -> bool:
    """Whether all fields of a row are known names of columns, one of them of captions."""
    names = {name.strip().strip("\"'").lower() for name in row}
    return names <= {*CAPTION_NAMES, *_OTHER_NAMES} and not names.isdisjoint(CAPTION_NAMES)


def may_be_header(row: Sequence[str]) -> bool:
    """Whether all fields of a row are short and different, and begin with a letter, as names do."""
    names = [name.strip() for name in row]
    return len(set(names)) == len(names) and all(_NAME.fullmatch(name) and len(name.split()) <= 3 for name in names)


def numbered_captions(names: Sequence[str]) -> list[str]:
    """The columns of several captions in a row: ``caption_0``, ``caption_1`` …; empty if there are none."""
    stems: dict[str, list[str]] = {}
    for name in names:
        if (found := _NUMBERED.fullmatch(name.strip())) and found["stem"].lower() in CAPTION_NAMES:
            stems.setdefault(found["stem"].lower(), []).append(name)
    several = [stems[stem] for stem in CAPTION_NAMES if len(stems.get(stem, [])) > 1]
    return several[0] if several else []
