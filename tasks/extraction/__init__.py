"""Extraction: from retrieved captions to candidate categories (CaSED, section 3.2: candidate generation).

``extract`` is the stage. A profile defines the candidates: ``phrases`` (words and noun phrases of the captions as
written; the default) or ``paper`` (the reference implementation's filters and words).
"""

from __future__ import annotations

from tasks.extraction.profiles import Profile, extractor
from tasks.extraction.stage import OBJECT, Extractor, extract

__all__ = ["OBJECT", "Extractor", "Profile", "extract", "extractor"]
