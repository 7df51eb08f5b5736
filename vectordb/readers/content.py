"""What a column holds, judged by its values: captions, or file names, addresses, numbers and the like.

The name of a column is a hint. Its values decide: a column of file names is not taken for captions, whatever it is
called. The rules are for columns. One value says little: "1984" may be a caption, a column of such values is none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

CAPTIONS, EMPTY = "captions", "nothing"

_PICTURE = r"jpe?g|jpe|jfif|png|gif|webp|tiff?|bmp|svg|heic|heif|avif|jxl|jp2|ico|raw|cr2|cr3|nef|arw|dng|psd|eps"
_OTHER = r"mp4|mov|avi|mkv|webm|m4v|mp3|wav|flac|pdf|txt|json|jsonl|csv|tsv|xml|html?|php|aspx?|zip|tar|gz|npy"
_HOSTS = r"com|org|net|edu|gov|info|io|co|uk|de|fr|it|es|nl|ru|jp|cn|br|pl|eu|ch|at|se|us|ca|au|in"
_LICENCE = (
    r"cc[ -]?(0|by|zero|pd|sa|nc|nd)\b.*|creative commons.*|public[ _-]?domain.*|all rights reserved.*|pdm?|"
    r"mit|gpl.*|(apache|bsd|gfdl|odbl|cdla|mpl|lgpl|agpl)\b.*|attribution(-\w+)*( license)?|"
    r"no known copyright.*|royalty[ -]free|proprietary|unlicensed"
)


def _rules(*rules: tuple[str, str]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in rules)


_KINDS = _rules(
    ("addresses", r"(?:[a-z][a-z0-9+.-]{1,9}:)?//\S.*|(?:data|mailto|blob|urn):\S+|www\.\S+"),
    ("addresses", rf"(?:[\w-]+\.)+(?:{_HOSTS})(?:[/:?]\S*)?"),
    ("e-mail addresses", r"[^\s@]+@[^\s@]+\.\w+"),
    ("file names", rf"(?s:.*)\.(?:{_PICTURE}|{_OTHER})(?:[#?:]\S*)?"),
    ("file names", r"(?:[a-z]:)?[^\s/\\]*[/\\](?:[^\s/\\]+[/\\])*[^\s/\\]*"),
    ("dates", r"\d{4}[-/.:]\d{1,2}[-/.:]\d{1,2}(?:[T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(?:[T ,].*)?"),
    ("dates", r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?"),
    ("numbers", r"[-+]?[$€£¥]?\s?(?:\d[\d.,' ]*|\.\d+)(?:e[-+]?\d+)?\s?(?:%|px|[kmg]b|[$€£¥])?|nan|[-+]?inf"),
    ("numbers", r"\d+\s?[x×:]\s?\d+(?:\s?px)?|[(\[{]\s*-?\d[\d\s.,;:e+-]*[)\]}]"),
    ("hashes", r"(?=.*\d)[0-9a-f]{8,}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?:sha\d+|md5)[:-]\S+"),
    ("hashes", r"(?=\S*\d)(?=\S*[A-Za-z])[A-Za-z0-9+/_-]{20,}={0,2}"),
    ("ids", r"[A-Za-z]{0,12}(?:[-_:#.][A-Za-z0-9]+)*[-_:#.]?\d[\w.:#-]*"),
    ("languages", r"[a-z]{2}(?:[-_][a-z]{2,4})?"),
    ("licences", _LICENCE),
    ("media types", r"(?:image|video|audio|text|application)/[\w.+-]+"),
    ("truth values", r"true|false|yes|no|none|null|n/?a|nil|success|failed\w*|error|ok|0|1"),
    ("parts of a data set", r"train(?:ing)?\d*|val(?:id(?:ation)?)?\d*|(?:rest|mini)val|test(?:ing)?\d*|dev"),
    ("structures", r"[\[{(]\s*[\[{\"']?.*[:,].*[\]})]"),
)  # fmt: skip
_NAMED = _rules(
    ("languages", r"lang(?:uage)?s?(?:[ _-]?codes?)?|locale"),
    ("licences", r"licen[sc]es?(?:[ _-]?(?:name|type|url))?|rights|copyright"),
    ("ids", r"(?:.*[ _-])?(?:u?u?id|key|ids|hash|md5|sha\d*|phash|sentids?)"),
    ("addresses", r"(?:.*[ _-])?(?:url|uri|link|href|src)"),
    ("file names", r"(?:.*[ _-])?(?:file|path|file[ _-]?names?|filepath|image[ _-]?(?:file|path|name))"),
    ("dates", r"(?:.*[ _-])?(?:date|time|timestamp|datetime|created|modified|updated)"),
    ("parts of a data set", r"split|subset|fold|partition"),
    ("messages of errors", r"(?:.*[ _-])?(?:errors?|exception|traceback)(?:[ _-](?:message|msg|text|code))?"),
    ("names of people", r"author|creator|photographer|credit|user(?:[ _-]?name)?|owner|artist|uploader"),
)
# a line that begins with a file name or an address, followed by something: no caption but a row
_LEADS = re.compile(
    rf"\s*[\"']?(?:\S*\.(?:{_PICTURE})(?:#\d+)?|(?:https?|s3|gs|ftp)://\S+)[\"']?\s*[\W_]?\s*\S", re.IGNORECASE
)
# a line that begins with a number or an id
_NUMBERED = re.compile(r"\s*[\W_]?(?P<id>[A-Za-z]{0,12}(?:[-_:#.]?\d[\w.:#-]*))[.):,]*\s+\S")
LOOKED_AT = 200  # characters of a value


def kind_of_value(value: str) -> str:
    """What one value is: ``CAPTIONS``, ``EMPTY``, or the kind of other data that it looks like."""
    text = value.strip().strip("\"'")[:LOOKED_AT].strip()
    if not text:
        return EMPTY
    for kind, pattern in _KINDS:
        if pattern.fullmatch(text):
            return kind
    return CAPTIONS if any(map(str.isalpha, text)) else "signs"


def kind_of(values: Sequence[str], name: str = "") -> str:
    """What most values of a column are, empty ones aside; ``EMPTY`` if all are.

    ``name``: of the column. A name that says what it holds decides where the values could be captions or not.
    """
    counts = Counter(map(kind_of_value, values))
    del counts[EMPTY]
    if not counts:
        return EMPTY
    if counts[CAPTIONS] * 2 < counts.total():
        counts.pop(CAPTIONS, None)
        return counts.most_common(1)[0][0]
    said = next((kind for kind, pattern in _NAMED if name and pattern.fullmatch(name.strip())), None)
    return said or CAPTIONS


def are_captions(values: Sequence[str]) -> bool:
    """Whether nearly all values are captions: where several are in one list, none may be a file name."""
    kinds = [kind for value in values if (kind := kind_of_value(value)) != EMPTY]
    return bool(kinds) and kinds.count(CAPTIONS) * 10 >= len(kinds) * 9


def _filled(values: Sequence[str]) -> list[str]:
    return [value for value in values if value.strip()]


def words(values: Sequence[str]) -> float:
    """The mean number of words of the values that are not empty. A script without spaces counts its letters."""
    there = _filled(values)
    if not there:
        return 0.0
    return sum(len(value.split()) + sum(char > "\u2e7f" for char in value[:LOOKED_AT]) for value in there) / len(
        there
    )


def is_prose(values: Sequence[str]) -> bool:
    """Whether the values are descriptions and not labels: two words and more on average, mostly different."""
    there = _filled(values)
    return words(there) >= 2 and len(set(there)) * 5 >= len(there)


def leads_with_other(values: Sequence[str]) -> bool:
    """Whether most values begin with a file name or an address: they are whole rows, not captions."""
    there = _filled(values)
    return bool(there) and sum(bool(_LEADS.match(value[:LOOKED_AT])) for value in there) * 2 > len(there)


def leads_with_id(values: Sequence[str]) -> bool:
    """Whether nearly all values begin with a number or an id, each with another one: they are whole rows, too."""
    there = _filled(values)
    ids = {found["id"] for value in there if (found := _NUMBERED.match(value[:LOOKED_AT]))}
    return len(there) > 4 and len(ids) * 10 >= len(there) * 9


def example(values: Sequence[str], longest: int = 40) -> str:
    """A value to show, shortened; control characters as escapes."""
    text = next((value.strip() for value in values if value.strip()), "")
    text = " ".join(text[: 4 * longest].split())
    if not text.isprintable():
        text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= longest else text[: longest - 1] + "…"
