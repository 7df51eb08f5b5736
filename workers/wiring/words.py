"""Creates what encodes the words of the captions ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from tasks.encoders.protocols import TextEncoder
from tasks.extraction.phrases import BY, Phrases
from tasks.retrieval import hit_of
from tasks.scoring import digest_of, encode_words
from vectordb.captions import Caption
from workers.redis.words_progress import WordsProgressBoard
from workers.stages.words_ahead import WordsAhead
from workers.wiring.wiring import Wiring


def words_ahead_of(wiring: Wiring, encoder: Callable[[], TextEncoder]) -> Callable[[], None]:
    """A function that starts it when it is called first, if there is anything to be done."""

    @cache
    def start() -> None:
        if (ahead := words_ahead(wiring, encoder())) is not None:
            ahead.start()

    return start


def words_ahead(wiring: Wiring, encoder: TextEncoder) -> WordsAhead | None:
    """Encodes words with this encoder; ``None`` if the settings switch it off, or every caption has to be parsed."""
    w, phrases = wiring, wiring.extractor
    if not w.settings.words_ahead or not isinstance(phrases, Phrases):
        return None
    prompts = w.pipeline_options.prompts

    def pages(version: str, after: int) -> Iterator[Sequence[Caption]]:
        return (captions for captions, _ in w.remote_index(version).pages(after=after))

    def labels(captions: Sequence[Caption]) -> Sequence[str]:
        return phrases.labels_without_parser(hit_of(caption, 0.0) for caption in captions)

    def encode(words: Sequence[str]) -> None:
        encode_words(words, encoder, w.word_store, prompts)

    seen = ""

    def busy() -> bool:
        """Also if an object was finished since the last call, which may be a second ago."""
        nonlocal seen
        before, seen = seen, w.records.feed_end()
        return seen != before or w.ledger.in_flight() > 0

    return WordsAhead(
        w.word_store, w.chosen, pages, labels, encode, busy,
        WordsProgressBoard(w.redis, w.keys).write, f"{digest_of(prompts)}{BY}",
    )  # fmt: skip
