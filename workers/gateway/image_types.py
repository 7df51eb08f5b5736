"""The type of an uploaded file by its first bytes, and what to do about a file that is refused.

The usual mistakes of clients get a hint: ``curl -d`` strips line breaks and zero bytes, and JSON, base64 and data
URLs are not the bytes of a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tasks.images import recognised, refusal
from workers.gateway.problems import Problem

FORM_ENCODED = b"application/x-www-form-urlencoded"
_RAW = "send the bytes of the file as they are: curl --data-binary @FILE"
_DATA_URL = re.compile(rb"[\"']?data:[\w/+.\-]*(?:;[\w=.\-]+)*[;,]", re.IGNORECASE)
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*[\[{]\s*[\[{\"\]}]")
# the beginnings of JPEG, PNG, GIF, WebP, TIFF and of boxes (HEIC, AVIF), in base64
_BASE64 = re.compile(rb"[\"']?(?:/9j/|iVBORw0KGgo|R0lGOD|UklGR|SUkqA|TU0AK|AAAA[A-Za-z0-9+/]{2}Z0eX)")
_NOT_STRIPPED = re.compile(rb"[\x00\r\n]")


def named_type(head: bytes, *, video: bool, declared: bytes = b"") -> str:
    """The media type of an image with these first bytes. Raises ``Problem`` (``not-an-image``).

    ``declared``: the Content-Type, which is used for hints only.
    """
    found = recognised(head, video=video)
    if found is not None:
        return found
    hint = _hint(head, declared)
    raise Problem("not-an-image", "; ".join(part for part in (hint, str(refusal(head, video=video))) if part))


def check_not_stripped(head: bytes, declared: bytes) -> None:
    """Raises ``Problem`` for an image without line breaks and zero bytes that came as the data of a form.

    Every format that is read has zero bytes or line breaks in its header. ``curl -d @FILE`` takes them out, so the
    image would be stored and could never be decoded. ``--data-binary`` declares the same type, and is fine.
    """
    if declared == FORM_ENCODED and not _NOT_STRIPPED.search(head):
        detail = f"the bytes of the image were changed: curl -d strips line breaks and zero bytes; {_RAW}"
        raise Problem("not-an-image", detail)


def check_encoding(headers: Mapping[str, str]) -> None:
    """Raises ``Problem`` for a body with a Content-Encoding, whose bytes are not those of the file."""
    encodings = [one.strip().lower() for one in headers.get("content-encoding", "").split(",")]
    unread = [one for one in encodings if one not in {"", "identity"}]
    if unread:
        raise Problem(
            "unsupported-encoding",
            f"the body has the Content-Encoding {', '.join(unread)[:100]}, which is not read: unpack it, and send it"
            " without this header (curl --data-binary @FILE)",
            headers={"Accept-Encoding": "identity"},
        )


def _hint(head: bytes, declared: bytes) -> str:
    if _DATA_URL.match(head.lstrip()):
        return f"a data URL is no image: decode it, and {_RAW}"
    if _BASE64.match(head.lstrip()):
        return f"the image is base64: decode it, and {_RAW}"
    if _JSON.match(head) or declared == b"application/json" or declared.endswith(b"+json"):
        return f"the body is JSON: {_RAW}"
    if declared == FORM_ENCODED:
        return f"the body is the data of a form, from which curl -d strips bytes: {_RAW}"
    if declared.startswith(b"multipart/") and declared != b"multipart/form-data":
        return f"{declared.decode('latin-1')[:60]} is not read: {_RAW}, or a form: curl -F image=@FILE"
    return ""
