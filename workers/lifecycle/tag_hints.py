"""Says which tags do not exist, and which ones are probably meant."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from tasks.labels.index_form import index_form
from workers.lifecycle.tag_index import TagIndex

MOST = 20_000  # tags that are compared, the most frequent ones
SHOWN = 3
SIMILAR = 0.65  # of difflib: "caat" and "cat" have 0.86, "dgo" and "dog" 0.67, "dog" and "cat" 0


class TagHints:
    """Reads the index of tags. Raises ``StoreUnavailable``."""

    def __init__(self, tag_index: TagIndex) -> None:
        self._tag_index = tag_index

    def unknown(self, labels: Sequence[str]) -> str | None:
        """A sentence without its point for each label that no image has; ``None`` if there is none."""
        forms = {index_form(label): label for label in labels}
        if not forms:
            return None
        known = self._tag_index.numbers(list(forms))
        missing = [label for label, number in zip(forms.values(), known, strict=True) if number is None]
        return "; ".join(map(self._hint, missing)) or None

    def near(self, label: str) -> list[str]:
        """Tags that are written nearly like this one, the most similar first, a few at most."""
        rows = self._tag_index.rows(0, MOST)
        return get_close_matches(index_form(label), [form for form, _ in rows], SHOWN, SIMILAR)

    def _hint(self, label: str) -> str:
        near = " or ".join(map(repr, self.near(label)))
        return f"no image has the tag {label!r}" + (f"; did you mean {near}?" if near else "")
