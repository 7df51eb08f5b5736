"""Removes what is not part of a description: what cameras, agencies, shops and web pages add to captions.

The rules are for text that people do not write about a picture: file names, credits, prices, dates, instructions. A
plain sentence stays as it is, which a test checks.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

from tasks.extraction.boilerplate_rules import MARKUP, PICTURE, RULES, SITES, TRIGGERS, TYPES

_CAMERA = re.compile(
    r"(?<![A-Za-z])_*(?:(?:IMG|DSC[NF]?)[-_ ]?|(?:FB_IMG|_?MG|PXL|MVIMG|MVI|IMAG|PANO|VID|GOPR|DJI|SAM|SDC|PICT|CIMG|"
    r"HPIM|KIF|FOTO|BURST|P|Photo)[-_]?)\d{3,}\w*",
    re.IGNORECASE,
)
_FILE = re.compile(rf"\S+\.{TYPES}", re.IGNORECASE)
# words joined by underscores, or by many hyphens: "merry-go-round" and "jack-in-the-box" are words
_SLUG = re.compile(r"[A-Za-z0-9%.]+(?:-[A-Za-z0-9%.]+){4,}|[A-Za-z0-9%.-]+(?:_+[A-Za-z0-9%.-]+)+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WIDE = re.compile("[\uff01-\uff5e\U0001d400-\U0001d7ff\u2460-\u24ff]")
_NOTHING = re.compile(
    r"(?:no|image|photo|picture|file|content|thumbnail)?\s*"
    r"(?:null|undefined|n/?a|none|nan|untitled|placeholder|spacer|unnamed|unknown|default|blank|empty|loading|"
    rf"alt(?: text)?|(?:no )?{PICTURE}?\s*(?:captions?|descriptions?|titles?|alt text)?\s*"
    r"(?:not |un)?(?:available|found|provided|loaded)|"
    rf"no {PICTURE}|no (?:captions?|descriptions?|titles?|alt(?:ernative)? text)\b.*|alternative text.*|alt\s*=.*"
    r"|image (?:description|preview|title|caption|for post)|advertisements?|ads?|sponsored(?: content)?"
    r"|subscribe(?: now)?|sign up\b.*newsletter|swipe (?:left|right|up|down)|scroll down\b.*"
    r"|open in (?:a )?new (?:tab|window)"
    r"|enlarge(?: this)?(?: image| photo| picture)?|do not copy|(?:lol|omg|lmao|rofl|wtf)[!. ]*)"
    r"[\s.…!-]*\d*",
    re.IGNORECASE,
)
# names of pictures that are parts of pages, with their suffix
_STAMPED = re.compile(r"(?:SAMPLE|PREVIEW|PROOF|DEMO|COPY|DO NOT COPY|WATERMARK)[\W\d]*")
_LABELS = re.compile(r"\s*(?:(?:image|photo|picture) may contain|may be)\b\s*(:?)(.*)", re.IGNORECASE | re.DOTALL)
_TEXT_IN_IT = re.compile(r"(?:\band )?\btext that (?:says|reads)\b[^|\n]*", re.IGNORECASE)
_AGENCY_NAME = re.compile(
    r"\b(?:REUTERS|Reuters|AFP|AP|EPA|PA|Getty|ANSA|dpa)\s*/\s*[A-Z][\w.'’-]*(?:\s+[A-Z][\w.'’-]*)*"
)
_NAMED_AS_SOURCE = re.compile(
    r"(?<=[.)\n|])\s*(?:Image|Picture|Photo|Photograph|Video)s?\s*:\s*[A-Z][^|\n]*$"
    r"|^\s*(?:Image|Picture|Photo|Photograph)s?\s*:\s*(?:Getty|PA|AP|AFP|Reuters|EPA|NASA)\b.*$"
    r"|(?:\b)(?:Foto|Bild|Fotograf)\s*:[^|\n]*"
)
_EMPTY_TAGS = frozenset(
    [
        "tbt",
        "nofilter",
        "instagood",
        "photooftheday",
        "picoftheday",
        "instadaily",
        "like4like",
        "followme",
        "ootd",
        "repost",
        "igers",
        "instalike",
        "fbf",
        "instaphoto",
        "photography",
        "photo",
        "pic",
        "instagram",
        "follow",
        "like4likes",
        "followforfollow",
        "throwbackthursday",
        "viral",
        "fyp",
    ]
)
# words in names of files that say what was done to the file
_EDITED = frozenset(
    [
        "orig",
        "original",
        "copy",
        "final",
        "edit",
        "edited",
        "small",
        "medium",
        "large",
        "thumb",
        "thumbnail",
        "resized",
        "scaled",
        "cropped",
        "crop",
        "web",
        "fullsize",
        "min",
        "max",
        "hires",
        "lowres",
        "preview",
        "screenshot",
        "stock",
        "photo",
        "image",
        "img",
        "picture",
        "download",
        "untitled",
        "background",
    ]
)
_PAGE_PART = re.compile(
    rf"(?:header|footer|banner|logo|icon|avatar|spacer|pixel|blank|image|img|photo|picture|thumb(?:nail)?|default|"
    rf"placeholder|background|bg|sprite|favicon|cover|hero|slide|untitled|file)[-_]?\d*\.{TYPES}",
    re.IGNORECASE,
)


_NAME_START = re.compile(r"^_?(?:img|dsc[nf]?|mg|image|photo|pic|screenshot|download)(?=[-_\d])", re.IGNORECASE)
_SCREENSHOT = re.compile(r"^\s*(?:screen ?shot|whatsapp (?:image|video)|bildschirmfoto)\s+[\d-]+.*", re.IGNORECASE)


_NAME_START = re.compile(r"^_?(?:img|dsc[nf]?|mg|image|photo|pic|screenshot|download)(?=[-_\d])", re.IGNORECASE)
_SCREENSHOT = re.compile(r"^\s*(?:screen ?shot|whatsapp (?:image|video)|bildschirmfoto)\s+[\d-]+.*", re.IGNORECASE)
# letters and the signs of sentences, and no letter five times: then most captions need no rule
_PLAIN = re.compile(r"(?!.*(.)\1{4})[A-Za-zÀ-ÿ\s.,;'’!?()\"-]*", re.DOTALL)
_WORD = re.compile(r"[a-zà-ÿ]+")
_FEW = 2  # words of captions that may be a placeholder, the name of a file or a date as a whole
_SHORTER = 80  # characters of placeholders
_ACRONYM = 4  # letters from which on capitals in the name of a file may be a word
_TAG = re.compile(r"#(\w+)")
# words between nouns in German, Spanish, French, Italian, Portuguese and Dutch; in lower case: names have them, too
_FOREIGN = re.compile(
    r"\b(?:ein|eine|einen|einem|einer|der|dem|den|und|im|mit|auf|vor|unter|un|una|une|uno|unos|el|los|las|la|en|del|"
    r"con|contra|le|les|des|du|et|dans|sur|avec|il|gli|di|della|nel|sul|per|um|uma|os|com|na|het|een|van|op|met|bij|"
    r"sous|de|da)\b"
)
_ENGLISH = re.compile(r"\b(?:an?|the|of|on|in|with|and|at|is|are|by|for|from|to|near)\b", re.IGNORECASE)


def described(caption: str) -> str:
    """The part of a caption that describes; '' if nothing does. A plain sentence is returned unchanged."""
    if len(caption) < _SHORTER and (_STAMPED.fullmatch(caption.strip()) or _NOTHING.fullmatch(caption.strip())):
        return ""
    if is_plain(caption):
        return _native(caption)
    text = unicodedata.normalize("NFKC", caption) if _WIDE.search(caption) else caption
    for rule in MARKUP:
        text = rule(text)
    if _STAMPED.fullmatch(text.strip()) or _NOTHING.fullmatch(text.strip()) or _PAGE_PART.fullmatch(text.strip()):
        return ""
    text = _labels(_words_of_name(text))
    text = _NAMED_AS_SOURCE.sub(" ", _AGENCY_NAME.sub(" ", text))
    before = text
    for rule in RULES:
        text = rule(text)
    if text != before and _NOTHING.fullmatch(text.strip()):
        return ""
    text = _TAG.sub(_hashtag, text)
    return _native(text)


def is_plain(caption: str) -> bool:
    """Whether a caption is a sentence to which no rule applies: by its signs and words, which is quick to see."""
    if not _PLAIN.fullmatch(caption):
        return False
    words = _WORD.findall(caption.lower())
    return len(words) > _FEW and TRIGGERS.isdisjoint(words)


def _labels(text: str) -> str:
    """What social networks write for an image, as a list of its labels."""
    found = _LABELS.match(text)
    if found is None:
        return text
    rest = _TEXT_IN_IT.sub(" ", found[2])
    words = [word for word in rest.split() if word != "and"]
    if found[1]:
        return rest
    return " , ".join(words) if all(map(str.istitle, words)) else text[: found.start(2)] + rest


def _words_of_name(text: str) -> str:
    """The words in a file name or a slug; other text without what cameras call their files."""
    stripped = text.strip()
    if _FILE.fullmatch(stripped) or _SLUG.fullmatch(stripped):
        name = unquote(stripped).rpartition("/")[2].rpartition("\\")[2]
        name = re.sub(rf"\.{TYPES}$", "", name, flags=re.IGNORECASE)
        name = _CAMERA.sub(" ", name)
        name = _NAME_START.sub(" ", name)
        words = [word for word in re.split(r"[-_+.,\s]+", name) if word and not any(map(str.isdigit, word))]
        words = [word for word in words if not (word.isupper() and len(word) < _ACRONYM)]
        if "screenshot" in stripped.lower()[:11]:
            return ""
        return " ".join(_CAMEL.sub(" ", word) for word in words if word.lower() not in _EDITED)
    text = _SCREENSHOT.sub(" ", text)
    if re.fullmatch(r"[A-Z][a-z]+(?:[A-Z][a-z]*){2,}", stripped):  # SheepInAField
        return _CAMEL.sub(" ", stripped)
    return _CAMERA.sub(" ", text) if any(map(str.isdigit, text)) else text


def _hashtag(match: re.Match[str]) -> str:
    if match[1].lower() in _EMPTY_TAGS:
        return " "
    words = _CAMEL.sub(" ", match[1]).replace("_", " ")
    words = re.sub(rf"\b(?:of|on) {SITES}$", "", words, flags=re.IGNORECASE)
    return f" , {words} , "


def _is_sentence(word: str) -> bool:
    """Whether a word in another script is too long for one thing, because the script has no spaces."""
    return len(word) > _SHORT or sum(char >= "\u2e80" for char in word) > _SIGNS


def _native(text: str) -> str:
    """Text without the words of other languages that the parser would take for nouns."""
    if not text.isascii():
        words = text.split()
        foreign = [word for word in words if any(char.isalpha() and not _is_latin(char) for char in word)]
        if foreign and (len(words) > len(foreign) + 1 or len(foreign) > 2 or any(map(_is_sentence, foreign))):
            alone = len(foreign) == 1 and not _is_sentence(foreign[0])
            text = " ".join(word for word in words if word not in foreign or alone)
    lowered = text[:1].lower() + text[1:]
    if len(_FOREIGN.findall(lowered)) > 1 and not _ENGLISH.search(text):
        return _FOREIGN.sub(" , ", lowered)
    return text


# letters of a word in another script, and those of them that are Chinese, Japanese or Korean
_SHORT, _SIGNS = 14, 4
_LATIN_END = 0x0250


def _is_latin(char: str) -> bool:
    return ord(char) < _LATIN_END or 0x1E00 <= ord(char) <= 0x1EFF
