"""The captions that wildtag starts with: some 30,000 concrete nouns, each with its broader noun, from WordNet 3.0.

``nouns.tsv`` is derived by ``vectordb.starter.derive``, under the licence in ``LICENSE-WordNet``; so are
``kinds.txt``, what those nouns imply, and ``misleading.txt`` by ``vectordb.starter.derive_kinds``.
"""

from vectordb.starter.captions import NAME, TEMPLATE, captions, version

__all__ = ["NAME", "TEMPLATE", "captions", "version"]
