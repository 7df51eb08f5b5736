"""The receivers of webhooks that are configured, as checks of ``wildtag doctor``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from workers.diagnostics.check import Check
from workers.settings.webhook_receivers import BadReceivers, Receiver

NAME = "webhooks"


def webhook_checks(receivers: Callable[[], Sequence[Receiver]], file: Path | None) -> Iterator[Check]:
    """Whether the receivers can be read, and nobody else reads their file. Nothing if there are none."""
    try:
        found = receivers()
    except BadReceivers as exc:
        yield Check.failed(NAME, str(exc), "correct the file, or unset WILDTAG_NOTIFY_FILE")
        return
    if found:
        yield Check.passed(NAME, ", ".join(f"{one.name} ({one.place})" for one in found))
    if file is not None and file.stat().st_mode & 0o007:
        yield Check.note(NAME, f"{file} can be read by every user of this machine", f"chmod o-rwx {file}")
