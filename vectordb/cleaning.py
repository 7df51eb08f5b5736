"""Captions from the web, made fit to be encoded and shown: no markup, nothing invisible, no endless text."""

from __future__ import annotations

import html
import re

from vectordb.captions import normalise

# of a longer text only this many times the wanted length is looked at: markup rarely takes more
_AHEAD = 16
# <b>, </b>, <br/>, <!-- … -->, and placeholders such as <person>; neither "<3" nor "5 < 6"
_TAG = re.compile(r"<[A-Za-z/!?][^<>]*>")
# &amp;amp;lt; is what is left when text was escaped again and again
_ESCAPED = re.compile(r"&(?:amp;)+", re.IGNORECASE)
# control, format (also those that change the direction), unpaired surrogates, private use and never used: Unicode's
# Cc, Cf, Cs, Co; but for white space, and for the joiner within an emoji such as a family
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
    """A caption as one line of at most ``longest`` characters, NFC; '' when nothing is left.

    HTML entities are resolved; tags and placeholders in pointed brackets, control, format and direction characters
    and unpaired surrogates are removed; white space is one space. It is cut between words where it can be. What is
    clean already stays as it is.
    """
    if text.isprintable() and "<" not in text and "&" not in text:
        line = " ".join(text.split()) if text.isascii() else normalise(text)
    else:
        line = _settled(text[: _AHEAD * longest])
    if len(line) > longest:
        cut = line[: longest + 1].rpartition(" ")[0] or line[:longest]
        line = _settled(cut)  # a cut may leave half of something
    return line


def _settled(text: str) -> str:
    """The text when another round would change nothing: what is removed may bring new markup together."""
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
