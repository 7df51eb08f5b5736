r"""Keys and file names of a folder that serves as a bucket.

Keys are relative POSIX paths. A byte of a name that is not valid UTF-8 becomes ``\xNN`` in its key, and a backslash
that could be read as the start of such an escape becomes ``\x5c``, so that no two files share a key.
"""

from __future__ import annotations

import os
import re

from workers.stores.store import ObjectNameRefused


def key_text(name: str) -> str:
    """The key of a file name, as valid UTF-8 text."""
    raw = re.sub(rb"\\(?=x(?:5c|[89a-f][0-9a-f]))", rb"\\x5c", os.fsencode(name))
    return raw.decode("utf-8", "backslashreplace")


def name_of(key: str) -> str:
    """The file name of a key, the inverse of ``key_text``. Raises ``ObjectNameRefused`` if it leads outside."""
    if not key or "\0" in key or key.startswith("/") or ".." in key.split("/"):
        raise ObjectNameRefused("the key leads outside the bucket")
    raw = re.sub(rb"\\x(5c|[89a-f][0-9a-f])", lambda match: bytes([int(match[1], 16)]), os.fsencode(key))
    return os.fsdecode(raw)


def hidden(key: str) -> bool:
    """Whether a file or folder is hidden or in a hidden folder."""
    return any(part.startswith(".") for part in key.split("/"))
