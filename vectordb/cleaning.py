"""Cleans captions from the web: removes markup and invisible characters, and limits the length."""

from __future__ import annotations

import html
import re

from vectordb.captions import normalise

# only this multiple of the wanted length is processed: markup rarely takes more
_AHEAD = 16
# <b>, </b>, <br/>, <!-- … -->, and placeholders such as <person>; neither "<3" nor "5 < 6"
_TAG = re.compile(r"<[A-Za-z/!?][^<>]*>")
# text that was escaped repeatedly, such as &amp;amp;lt;
_ESCAPED = re.compile(r"&(?:amp;)+", re.IGNORECASE)
# control, format (including direction), unpaired surrogates, private use and unassigned: Unicode's Cc, Cf, Cs, Co.
# Not white space, nor the joiner within an emoji such as a family
_INVISIBLE = re.compile(
    "["
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"
    "\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufdd0-\ufdef\ufeff\ufff0-\ufffb\ufffe\uffff"
    "\ud800-\udfff\ue000-\uf8ff"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e00ff\U000f0000-\U0010ffff"
    "]"
    "|(?<![\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])\u200d"
    "|\u200d(?![\u2190-\u2bff\U0001f000-\U0001faff])"
)


def cleaned(text: str, longest: int = 1000) -> str:
    """Clean a caption to one line of at most ``longest`` characters, NFC; '' if nothing is left.

    Resolves HTML entities. Removes tags and placeholders in angle brackets, control, format and direction characters,
    and unpaired surrogates. White space becomes one space. Truncates between words if possible. Clean text stays
    unchanged.
    """
    if text.isprintable() and "<" not in text and "&" not in text:
        line = " ".join(text.split()) if text.isascii() else normalise(text)
    else:
        line = _settled(text[: _AHEAD * longest])
    if len(line) > longest:
        cut = line[: longest + 1].rpartition(" ")[0] or line[:longest]
        line = _settled(cut)  # truncation may leave half an entity or tag
    return line


def _settled(text: str) -> str:
    """Repeat until nothing changes: removing a part may create new markup."""
    while True:
        before = text
        if "&" in text:
            text = html.unescape(_ESCAPED.sub("&", text))
        if "<" in text:
            text = _TAG.sub(" ", text)
        if not text.isprintable():
            text = _INVISIBLE.sub("", text)
        text = normalise(text)
        if text == before:
            return text
