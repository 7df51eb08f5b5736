"""What the page offers without asking the gateway."""

from __future__ import annotations

from workers.gateway.page import FILES


def test_the_file_dialog_offers_no_videos_which_are_refused_by_default() -> None:
    assert 'accept="image/*"' in (FILES / "index.html").read_text()
