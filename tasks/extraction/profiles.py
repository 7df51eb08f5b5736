"""The profiles by name."""

from __future__ import annotations

from typing import Literal

from tasks.extraction.paper import PaperWords
from tasks.extraction.phrases import Phrases
from tasks.extraction.stage import Extractor

Profile = Literal["phrases", "paper"]


def extractor(profile: Profile = "phrases") -> Extractor:
    """The extractor of this profile with its defaults. It loads its model on first use."""
    return PaperWords() if profile == "paper" else Phrases()
