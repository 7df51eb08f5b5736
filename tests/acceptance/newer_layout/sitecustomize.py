"""A made-up wildtag of the future: with this folder on PYTHONPATH, each process has a layout of one version more.

Records have another name in it, and so has the list of their objects.
"""

from __future__ import annotations

from typing import Any

from workers.redis import layout
from workers.redis.keys import Keys
from workers.redis.migration import Migration
from workers.redis.migration_steps import Rename, RenameFamily

layout.VERSION += 1

from workers.lifecycle import migrations  # noqa: E402 -- with that version

migrations.MIGRATIONS = (
    *migrations.MIGRATIONS,
    Migration(
        layout.VERSION,
        (RenameFamily("record:", "result:"), Rename("objects", "object-ids")),
        back=(RenameFamily("result:", "record:"), Rename("object-ids", "objects")),
    ),
)


def _record(keys: Any, oid: str) -> str:
    return f"{keys.prefix}result:{oid}"


setattr(Keys, "record", _record)  # noqa: B010 -- it is a method of the class
setattr(Keys, "objects", property(lambda keys: f"{keys.prefix}object-ids"))  # noqa: B010 -- as above
