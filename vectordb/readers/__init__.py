"""Readers of caption files: any of the formats in which people have captions, as a stream of ``Rows``.

One module a format. Everything is read in constant memory; gzip and zstd are unpacked on the way.
"""

from vectordb.readers.choice import ChooseColumn
from vectordb.readers.rows import BadSource, Rows
from vectordb.readers.source import FORMATS, Source, source_of

__all__ = ["FORMATS", "BadSource", "ChooseColumn", "Rows", "Source", "source_of"]
