"""A text encoder that several threads may use."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tasks.encoders.protocols import Floats, Space, TextEncoder


class LockedTextEncoder:
    """A ``TextEncoder`` around another one, whose calls wait for each other. Tokenizers are not thread-safe."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()

    @property
    def space(self) -> Space:
        """See ``TextEncoder``."""
        return self._encoder.space

    def encode(self, texts: Sequence[str]) -> Floats:
        """See ``TextEncoder``."""
        with self._lock:
            return self._encoder.encode(texts)
