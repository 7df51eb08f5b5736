"""Removes what is not part of a description: what cameras, agencies, shops and web pages add to captions.

The rules are for text that people do not write about a picture: file names, credits, prices, dates, instructions. A
plain sentence stays as it is, which a test checks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from urllib.parse import unquote

_PICTURE = (
    r"(?:photo(?:graph)?s?|images?|pictures?|pics?|illustrations?|vectors?|footage|videos?|clip ?arts?|wallpapers?)"
)
_TYPES = r"(?:jpe?g|jpe|png|gif|webp|tiff?|bmp|svg|heic|heif|avif|cr2|cr3|nef|arw|dng|psd|eps|mp4|mov)"
_AGENCIES = (
    r"(?:shutterstock|getty ?images|istock(?:photo)?|alamy|adobe ?stock|depositphotos|dreamstime|123rf|fotolia|"
    r"bigstock|can ?stock ?photo|unsplash|pexels|pixabay|freepik|vecteezy|stocksy|rawpixel|wikimedia commons|"
    r"deviantart|shutter ?stock|gettyimages|colou?rbox|pond5|corbis|magnum photos)"
)
# words of their own, but not at the end of a caption, behind a separator
_SITES = (
    r"(?:amazon(?:\.[a-z.]+)?|ebay|etsy|aliexpress|walmart|pinterest|flickr|wikipedia|youtube|facebook|instagram|"
    r"twitter|tumblr|reddit|linkedin|tiktok|imgur|behance|dribbble|google|reuters|afp|ap|epa|bbc|cnn|nasa)"
)
_MONTH = (
    r"(?=(?-i:[A-Z]))(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?:mon|tues?|wed(?:nes)?|thur?s?|fri|sat(?:ur)?|sun)day"
_ENDING = r"(?=\s*(?:[.|\n]|$|[-–—]\s))"
_CAMERA = re.compile(
    r"(?<![A-Za-z])_*(?:(?:IMG|DSC[NF]?)[-_ ]?|(?:FB_IMG|_?MG|PXL|MVIMG|PANO|VID|GOPR|DJI|SAM|SDC|PICT|CIMG|HPIM|KIF|"
    r"FOTO|BURST|P|Photo)[-_]?)\d{3,}\w*",
    re.IGNORECASE,
)
_FILE = re.compile(rf"\S+\.{_TYPES}", re.IGNORECASE)
# words joined by underscores, or by many hyphens: "merry-go-round" and "jack-in-the-box" are words
_SLUG = re.compile(r"[A-Za-z0-9%.]+(?:-[A-Za-z0-9%.]+){4,}|[A-Za-z0-9%.-]+(?:_+[A-Za-z0-9%.-]+)+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WIDE = re.compile("[\uff01-\uff5e\U0001d400-\U0001d7ff\u2460-\u24ff]")
_NOTHING = re.compile(
    r"(?:no|image|photo|picture|file|content|thumbnail)?\s*"
    r"(?:null|undefined|n/?a|none|nan|untitled|placeholder|spacer|unnamed|unknown|default|blank|empty|loading|"
    rf"alt(?: text)?|(?:no )?{_PICTURE}?\s*(?:captions?|descriptions?|titles?|alt text)?\s*"
    r"(?:not |un)?(?:available|found|provided|loaded)|"
    rf"no {_PICTURE}|no (?:captions?|descriptions?|titles?|alt(?:ernative)? text)(?: available| provided| found)?)"
    r"[\s.…!-]*\d*",
    re.IGNORECASE,
)
# names of pictures that are parts of pages, with their suffix
_PAGE_PART = re.compile(
    rf"(?:header|footer|banner|logo|icon|avatar|spacer|pixel|blank|image|img|photo|picture|thumb(?:nail)?|default|"
    rf"placeholder|background|bg|sprite|favicon|cover|hero|slide|untitled|file)[-_]?\d*\.{_TYPES}",
    re.IGNORECASE,
)


_NAME_START = re.compile(r"^_?(?:img|dsc[nf]?|mg|image|photo|pic|screenshot|download)(?=[-_\d])", re.IGNORECASE)
_SCREENSHOT = re.compile(r"^\s*(?:screen ?shot|whatsapp (?:image|video)|bildschirmfoto)\s+[\d-]+.*", re.IGNORECASE)


def _rule(pattern: str, instead: str = " ") -> Callable[[str], str]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda text: compiled.sub(instead, text)


_MARKUP = (
    _rule(r"\[\[(?:[^\[\]|]*\|)*([^\[\]|]*)\]\]", r" \1 "),  # [[File:x.jpg|thumb|A windmill]]
    _rule(r"!?\[([^\[\]]*)\]\([^()\s]*\)", r" \1 "),  # ![a robot](robot.png)
    _rule(r"^(?:(?:thumb(?:nail)?|right|left|cent(?:er|re)|frame(?:less)?|\d+px)\|)+"),
    _rule(r"\[(?:removed|deleted|oc|removed by \w+)\]"),
    _rule(r"^\s*(?:file|datei|fichier|archivo|image|bild|bestand|plik)\s*:\s*(?=\S.*\.\w{3,4}\s*$)"),
)
_RULES = (
    # credits and rights
    _rule(
        r"\(\s*(?:(?:ap|afp|reuters|epa|getty|file|stock)\s+)?(?:photo(?:graph)?s?|images?|pictures?|credits?|source|"
        r"courtesy|via|copyright|©)\b[^()]*\)"
    ),
    _rule(r"(?:©|\(c\)\s|\bcopyright\b)(?!\s+(?:symbol|sign))[^|\n]*"),
    _rule(r"\ball rights reserved\b\.?"),
    _rule(rf"\b{_PICTURE}\s+(?:credits?|courtesy(?:\s+of)?)\b\s*:?[^|\n]*"),
    _rule(r"(?:^|(?<=[.|\n(,;-]))\s*(?:(?:credits?|source|courtesy)\s*:|courtesy of\b)[^|\n]*"),
    lambda text: _CREDIT.sub(" ", text),
    _rule(r"\b(?:via|by|from|cr(?:edit)?)\s*:?\s*@\w+"),
    _rule(r"\bfollow (?:(?:us|me)\b\s*(?:@\w+)?|@\w+)\s*(?:for more[^.|\n]*|on \w+)?"),
    _rule(r"(?:^|(?<=[.|\n]))\s*posted (?:by|on|in)\b[^|\n]*"),
    _rule(
        r"\b(?:share|save|pin|post|tweet)(?: this)?(?: image)? (?:on|to|it) "
        r"(?:facebook|twitter|pinterest|instagram|whatsapp)\b"
    ),
    # agencies and sites
    _rule(
        rf"\b(?:royalty[- ]free|premium|free|editorial)?\s*stock\s+{_PICTURE}"
        rf"(?:\s*(?:&|and|,)\s*{_PICTURE})*(?:\s+of\b)?"
    ),
    _rule(rf"\b(?:royalty[- ]free|premium|free)\s+{_PICTURE}(?:\s+of\b)?"),
    _rule(r"\broyalty[- ]free\b"),
    _rule(rf"\b{_PICTURE} of \w+ - \d{{5,}}"),
    _rule(rf"(?:\b(?:on|via|from|by|at|in)\s+|/\s*)?\b{_AGENCIES}\b(?:\s+(?:images?|photos?))?"),
    _rule(rf"(?:[-–—|,/]|\bon|\bvia|\bfrom)\s*{_SITES}\s*(?=[.|\n]|$|[-–—]\s)"),
    # instructions and placeholders
    _rule(r"\bimage (?:result|search)s? for\b"),
    _rule(r"^\s*(?:image|photo|picture) may contain\s*:"),
    _rule(r"^\s*may be (?:an?|the)\s+(?:\w+\s+){0,3}(?:image|photo|illustration|cartoon|picture|closeup)s?\s+of\b"),
    _rule(r"\band text that (?:says|reads)\b[^|\n]*"),
    _rule(r"^\s*no (?:photo|image|picture) description available\.?"),
    _rule(
        r"\b(?:click|tap|press|hover|touch|double[- ]click)\b"
        r"(?:\s+(?:here|on|over|this|the|any|image|picture|photo|thumbnail|it))*\s+(?:to|for)\s+(?:an?\s+)?"
        r"(?:enlarge|view|see|zoom|expand|open|download|larger?|bigger|full|more|details?)"
        rf"(?:\s+(?:in|here|larger?|full|size|screen|bigger|image|version|view|details?|it|{_PICTURE}))*(?:\s+of\b)?"
    ),
    _rule(
        r"\b(?:view|see|show|open) (?:full|larger?|original|more|all|bigger)\b"
        rf"(?:(?:[- ](?:size|image|photos?|screen|view|version))+|{_ENDING})"
    ),
    _rule(r"\b(?:read|learn|show|see|load) more\b" + _ENDING),
    _rule(r"(?:\*\s*)+new\s*(?:\*\s*)+|^\s*new\s*!+"),
    _rule(r"\bcomments?\s*\(\d+\)"),
    _rule(r"^\s*(?:free\s+)?download\s+(?:free\s+|this\s+|scientific\s+diagram|hd\s+|now)*(?:of\b)?"),
    _rule(
        r"^\s*(?:tags?|keywords?|categor(?:y|ies)|labels?|descriptions?|title|captions?|alt(?: text)?|"
        r"breaking(?: news)?|watch)\s*:"
    ),
    _rule(
        r"^\s*(?:fig(?:ure)?|photo|image|picture|plate|page|slide|img|pic|step)s?\.?\s*#?\s*\d+[a-z]?\b"
        r"(?:\s*(?:of|/)\s*\d+)?\s*[:.)–—-]?"
    ),
    _rule(r"^\s*figure from publication\s*:"),
    _rule(r"^\s*\d+\s*(?:of|/)\s*\d+\s*$"),
    # shops
    _rule(r"\bwas\s*[$€£]\s*[\d.,]+\s*,?\s*now\s*[$€£]\s*[\d.,]+"),
    _rule(
        r"(?:\b(?:only|from|just|price|us|eur|usd)\s*:?\s*)?[$€£¥₹]\s?\d[\d.,]*(?:\s?(?:each|only|usd|k))?"
        r"|\b\d[\d.,]*\s?[$€£¥₹]"
    ),
    _rule(r"\b\d+\s?%\s?(?:off|discount)\b"),
    _rule(
        r"\b(?:buy|shop|order) (?:it )?now\b\s*:?|\badd to (?:cart|basket|bag|wishlist)\b"
        r"|\bfree (?:shipping|delivery|returns)\b"
    ),
    _rule(r"\b(?:on |for )?sale\b(?=\s*!)|\bfor sale\b|\b(?:in|out of) stock\b|\bbrand new\b|\bbest ?sellers?\b"),
    _rule(rf"\b(?:pack|set|lot) of \d+\b|\bproduct {_PICTURE}(?:\s+of\b)?"),
    _rule(r"\b\d+(?:[.,]\d+)?\s*[x×]\s*\d+(?:[.,]\d+)?(?:\s*[x×]\s*\d+)?\s*(?:mm|cm|m|in|px|inch(?:es)?|ft)?\b"),
    _rule(r"\b\d+(?:[.,]\d+)?\s?(?:mm|cm|km|kg|mg|ml|oz|lbs?|px|mb|kb|gb|mp|dpi|fps)\b"),
    # kinds of files and of pictures
    _rule(
        rf"\b(?:4k|8k|uhd|full hd|hd|hdr|hq)\b"
        rf"|\b{_TYPES}\b(?=\s|$|[,.|)])(?:\s+transparent background)?(?:\s+of\b)?"
    ),
    _rule(r"\bisolated (?:on|over|against|in)\s+(?:an?\s+)?(?:\w+\s+)?background\b|\btransparent background\b"),
    _rule(rf"\b3d[- ](?:render(?:ing)?s?|models?|{_PICTURE})(?:\s+of\b)?|\bhand[- ]drawn\b"),
    _rule(
        rf"\b(?:drone|aerial|stock)\s+{_PICTURE}(?:\s+of\b)?|\b(?:cover|profile|banner|header)\s+{_PICTURE}(?:\s+of\b)?"
    ),
    # dates and times
    _rule(rf"\b(?:{_DAY},?\s+)?\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:,?\s+\d{{4}})?\b"),
    _rule(rf"\b(?:{_DAY},?\s+)?{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?\b"),
    _rule(rf"\b{_MONTH},?\s+(?:18|19|20)\d\d\b|\b(?:circa|ca\.?|c\.)\s*\d{{4}}s?\s*:?"),
    _rule(r"\b\d{1,2}[:.h]\d{2}(?:[:.]\d{2})?\s*(?:[ap]\.?m\.?)?(?!\w)|\b\d{1,2}\s*[ap]\.?m\b"),
    _rule(r"\b\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b|\b\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}\b"),
    # names on the web
    _rule(r"\b(?:[\w-]+\.)+(?:com|org|net|de|co\.uk|io|info)(?:/\S*)?\b"),
    _rule(r"(?<!\w)@\w+"),
)
# a name follows, which has capitals; so case counts
_CREDIT = re.compile(
    r"(?:\(|\b)(?:[Pp]hoto(?:graph(?:y|ed)?|s)?|[Ii]mages?|[Pp]ictures?|[Ii]llustration|[Vv]ideo|[Ss]hot)s?\s+[Bb]y\s*:?\s+"
    r"(?:@\w+|[A-Z][\w.'’-]*)(?:\s+(?:[A-Z][\w.'’-]*|de|van|von|di|da|al))*(?:\s*[/|,]\s*[A-Z][\w.'’-]*)*\)?"
)
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
    text = unicodedata.normalize("NFKC", caption) if _WIDE.search(caption) else caption
    for rule in _MARKUP:
        text = rule(text)
    if _NOTHING.fullmatch(text.strip()) or _PAGE_PART.fullmatch(text.strip()):
        return ""
    text = _words_of_name(text)
    before = text
    for rule in _RULES:
        text = rule(text)
    if text != before and _NOTHING.fullmatch(text.strip()):
        return ""
    text = _TAG.sub(_hashtag, text)
    return _native(text)


def _words_of_name(text: str) -> str:
    """The words in a file name or a slug; other text without what cameras call their files."""
    stripped = text.strip()
    if _FILE.fullmatch(stripped) or _SLUG.fullmatch(stripped):
        name = unquote(stripped).rpartition("/")[2].rpartition("\\")[2]
        name = re.sub(rf"\.{_TYPES}$", "", name, flags=re.IGNORECASE)
        name = _CAMERA.sub(" ", name)
        name = re.sub(
            r"^_?(?:img|dsc[nf]?|mg|image|photo|pic|screenshot|download)(?=[-_\d])", " ", name, flags=re.IGNORECASE
        )
        words = re.split(r"[-_+.,\s]+", _CAMEL.sub(" ", name))
        return " ".join(word for word in words if word and not any(map(str.isdigit, word)))
    text = re.sub(
        r"^\s*(?:screen ?shot|whatsapp (?:image|video)|bildschirmfoto)\s+[\d-]+.*", " ", text, flags=re.IGNORECASE
    )
    if re.fullmatch(r"[A-Z][a-z]+(?:[A-Z][a-z]*){2,}", stripped):  # SheepInAField
        return _CAMEL.sub(" ", stripped)
    return _CAMERA.sub(" ", text) if any(map(str.isdigit, text)) else text


def _hashtag(match: re.Match[str]) -> str:
    words = _CAMEL.sub(" ", match[1]).replace("_", " ")
    words = re.sub(rf"\b(?:of|on) {_SITES}$", "", words, flags=re.IGNORECASE)
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
