"""The rules of ``boilerplate``: patterns of credits, agencies, shops, instructions, dates; what replaces them."""

from __future__ import annotations

import re
from collections.abc import Callable

PICTURE = (
    r"(?:photo(?:graph)?s?|images?|pictures?|pics?|illustrations?|vectors?|footage|videos?|clip ?arts?|wallpapers?)"
)
TYPES = r"(?:jpe?g|jpe|png|gif|webp|tiff?|bmp|svg|heic|heif|avif|cr2|cr3|nef|arw|dng|psd|eps|mp4|mov)"
_AGENCIES = (
    r"(?:shutterstock|getty ?images|istock(?:photo)?|alamy|adobe ?stock|depositphotos|dreamstime|123rf|fotolia|"
    r"bigstock|can ?stock ?photo|unsplash|pexels|pixabay|freepik|vecteezy|stocksy|rawpixel|wikimedia commons|"
    r"deviantart|shutter ?stock|gettyimages|colou?rbox|pond5|corbis|magnum photos)"
)
# words of their own, but not at the end of a caption, behind a separator
SITES = (
    r"(?:amazon(?:\.[a-z.]+)?|ebay|etsy|aliexpress|walmart|pinterest|flickr|wikipedia|youtube|facebook|instagram|"
    r"twitter|tumblr|reddit|linkedin|tiktok|imgur|behance|dribbble|google|reuters|afp|ap|epa|bbc|cnn|nasa)"
)
_MONTH = (
    r"(?=(?-i:[A-Z]))(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?:mon|tues?|wed(?:nes)?|thur?s?|fri|sat(?:ur)?|sun)day"
_ENDING = r"(?=\s*(?:[.|\n]|$|[-–—]\s))"
# a name follows, which has capitals; so case counts
_CREDIT = re.compile(
    r"(?:\(|\b)(?:[Pp]hoto(?:graph(?:y|ed)?|s)?|[Ii]mages?|[Pp]ictures?|[Ii]llustration|[Vv]ideo|[Ss]hot)s?\s+[Bb]y\s*:?\s+"
    r"(?:@\w+|[A-Z][\w.'’-]*)(?:\s+(?:[A-Z][\w.'’-]*|de|van|von|di|da|al))*(?:\s*[/|,]\s*[A-Z][\w.'’-]*)*\)?"
)


def _words(text: str) -> list[str]:
    return text.split()


def _rule(pattern: str, instead: str = " ") -> Callable[[str], str]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda text: compiled.sub(instead, text)


MARKUP = (
    _rule(r"\[\[(?:[^\[\]|]*\|)*([^\[\]|]*)\]\]", r" \1 "),  # [[File:x.jpg|thumb|A windmill]]
    _rule(r"!?\[([^\[\]]*)\]\([^()\s]*\)", r" \1 "),  # ![a robot](robot.png)
    _rule(r"^(?:(?:thumb(?:nail)?|right|left|cent(?:er|re)|frame(?:less)?|\d+px)\|)+"),
    _rule(r"\[(?:removed|deleted|oc|removed by \w+)\]"),
    _rule(r"^\s*(?:file|datei|fichier|archivo|image|bild|bestand|plik)\s*:\s*(?=\S.*\.\w{3,4}\s*$)"),
)
RULES = (
    _rule(r"\[/?(?:caption|img|b|i|u|url|quote|center|gallery|embed)\b[^\[\]]*\]|\b(\w)\1{4,}\b"),
    _rule(r"\bRT\s+@\w+\s*:?|\b(?:omg|lol|lmao|rofl|wtf)\b"),
    # credits and rights
    _rule(
        r"\(\s*(?:(?:ap|afp|reuters|epa|getty|file|stock)\s+)?(?:photo(?:graph)?s?|images?|pictures?|credits?|source|"
        r"courtesy|via|copyright|©)\b[^()]*\)"
    ),
    _rule(r"(?:©|\(c\)\s|\bcopyright\b)(?!\s+(?:symbol|sign))[^|\n]*"),
    _rule(r"\ball rights reserved\b\.?"),
    _rule(rf"\b{PICTURE}\s+(?:credits?|courtesy(?:\s+of)?)\b\s*:?[^|\n]*"),
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
    _rule(rf"^\s*free\s+(?=.*\b{PICTURE}\b)"),
    _rule(
        rf"\b(?:royalty[- ]free|premium|free|editorial)?\s*stock\s+{PICTURE}"
        rf"(?:\s*(?:&|and|,)\s*{PICTURE})*(?:\s+of\b)?"
    ),
    _rule(
        rf"\b(?:royalty[- ]free|premium|free)\s+{PICTURE}(?:\s+download|\s+of\b)?|\bclip ?arts?\b|\bfree download$"
    ),
    _rule(r"\broyalty[- ]free\b"),
    _rule(rf"\b{PICTURE} of \w+ - \d{{5,}}"),
    _rule(rf"(?:\b(?:on|via|from|by|at|in)\s+|/\s*)?\b{_AGENCIES}\b(?:\s+(?:images?|photos?))?"),
    _rule(rf"(?:[-–—|,/]|\bon|\bvia|\bfrom)\s*{SITES}\s*(?=[.|\n]|$|[-–—]\s)"),
    # instructions and placeholders
    _rule(r"^\s*image from page \d+ of\b.*|^\s*thumbnail for version\b.*|\bscroll down for (?:video|more)\b"),
    _rule(r"\bimage (?:result|search)s? for\b"),
    _rule(r"^\s*may be (?:an?|the)\s+(?:\w+\s+){0,3}(?:image|photo|illustration|cartoon|picture|closeup)s?\s+of\b"),
    _rule(r"\band text that (?:says|reads)\b[^|\n]*"),
    _rule(r"^\s*no (?:photo|image|picture) description available\.?"),
    _rule(
        r"\b(?:click|tap|press|hover|touch|double[- ]click)\b"
        r"(?:\s+(?:here|on|over|this|the|any|enter|image|picture|photo|thumbnail|it))*\s+(?:to|for)\s+(?:an?\s+)?"
        r"(?:enlarge|view|see|zoom|expand|open|download|larger?|bigger|full|more|details?)"
        rf"(?:\s+(?:in|an?|here|larger?|full|size|screen|bigger|image|version|view|details?|it|{PICTURE}))*(?:\s+of\b)?"
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
    _rule(r"\bprice\s*:|\b(?:usd|eur|gbp|inr|rs\.?)\s?\d[\d.,]*|\b\d[\d.,]*\s?(?:usd|eur|gbp|inr|dollars|euros)\b"),
    _rule(r"\b\d+\s?%\s?(?:off|discount)\b|\bsale\b\s*[-–]?\s*\d+\s?%"),
    _rule(r"\b(?:sku|lot|item|ref|model|article|art)\.?\s*(?:no\.?|nr\.?|number)?\s*[:#]\s*\w*\d\w*\s*:?"),
    _rule(r"\bsize\s*:?\s*(?:x*[sml]|x+l|\d+)\b\s*,?|\bbrand new in (?:box|package)\b"),
    _rule(
        r"\b(?:buy|shop|order) (?:it )?now\b\s*:?|\badd to (?:cart|basket|bag|wishlist)\b"
        r"|\bfree (?:shipping|delivery|returns)\b"
    ),
    _rule(r"\b(?:on |for )?sale\b(?=\s*!)|\bfor sale\b|\b(?:in|out of) stock\b|\bbrand new\b|\bbest ?sellers?\b"),
    _rule(rf"\b(?:pack|set|lot) of \d+\b|\bproduct {PICTURE}(?:\s+of\b)?"),
    _rule(r"\b\d+(?:[.,]\d+)?\s*[x×]\s*\d+(?:[.,]\d+)?(?:\s*[x×]\s*\d+)?\s*(?:mm|cm|m|in|px|inch(?:es)?|ft)?\b"),
    _rule(r"\b\d+(?:[.,]\d+)?\s?(?:mm|cm|km|kg|mg|ml|oz|lbs?|px|mb|kb|gb|mp|dpi|fps)\b"),
    # kinds of files and of pictures
    _rule(
        rf"\b(?:4k|8k|uhd|full hd|hd|hdr|hq)\b"
        rf"|\b{TYPES}\b(?=\s|$|[,.|)])(?:\s+transparent background)?(?:\s+of\b)?"
    ),
    _rule(r"\bisolated (?:on|over|against|in)\s+(?:an?\s+)?(?:\w+\s+)?background\b|\btransparent background\b"),
    _rule(rf"\b3d[- ](?:render(?:ing)?s?|models?|{PICTURE})(?:\s+of\b)?|\bhand[- ]drawn\b"),
    _rule(
        rf"\b(?:drone|aerial|stock|file|handout|undated)\s+{PICTURE}(?:\s+of\b)?|\b(?:cover|profile|banner|header)\s+{PICTURE}(?:\s+of\b)?"
    ),
    # dates and times
    _rule(rf"\b(?:{_DAY},?\s+)?\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:,?\s+\d{{4}})?\b"),
    _rule(rf"\b(?:{_DAY},?\s+)?{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?\b"),
    _rule(rf"\b{_MONTH},?\s+(?:18|19|20)\d\d\b|\b(?:circa|ca\.?|c\.)\s*\d{{4}}s?\s*:?"),
    _rule(r"\b\d{1,2}[:.h]\d{2}(?:[:.]\d{2})?\s*(?:[ap]\.?m\.?)?(?!\w)|\b\d{1,2}\s*[ap]\.?m\b"),
    _rule(r"\b\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b|\b\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}\b"),
    _rule(rf"^\s*(?:{_DAY}|{_MONTH})\s*$"),
    # names on the web
    _rule(r"(?<![\w.-])(?:[\w-]+\.)+(?:com|org|net|de|co\.uk|io|info)(?:/\S*)?\b"),
    _rule(r"(?<!\w)@\w+"),
)

# each rule needs one of these words, a digit, or a sign that plain sentences do not have; a test compares
TRIGGERS = frozenset(
    _words(
        """
        photo photos photograph photographs photography image images picture pictures pic pics illustration
        illustrations vector vectors footage video videos clip clipart cliparts wallpaper wallpapers stock free
        premium royalty shot shutterstock getty gettyimages istock istockphoto alamy adobe depositphotos
        dreamstime fotolia bigstock canstock canstockphoto unsplash pexels pixabay freepik vecteezy stocksy
        rawpixel wikimedia deviantart shutter colorbox colourbox pond corbis magnum amazon ebay etsy aliexpress
        walmart pinterest flickr wikipedia youtube facebook instagram twitter tumblr reddit linkedin tiktok
        imgur behance dribbble google reuters afp ap epa bbc cnn nasa copyright rights credit credits source
        courtesy follow posted share save pin post tweet may text click tap press hover touch double view see
        show open read learn load new scroll thumbnail comments download sale price buy shop order add cart
        brand best bestseller bestsellers hd hdr hq uhd isolated transparent hand drone cover profile banner
        header aerial file handout undated jpg jpeg jpe png gif webp tif tiff bmp svg heic heif avif dng psd eps
        mov arw nef com org net io info rt omg lol lmao rofl wtf foto bild fotograf
        """
    )
)
