"""A million synthetic captions for benchmarks, composed from the starter list.

Random vectors are no substitute: they fill all dimensions evenly, texts do not, and that decides how hard a space is
to search.

Each caption uses a random template. Its slots are filled with nouns of the starter list, adjectives, colours, places,
numbers, actions and kinds of images, all uniformly from one seeded generator, without duplicates. The first captions
are the held-out queries, so no query is in the index, but captions of the same things are: with a million captions
each noun is in about sixty.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

import inflect

from vectordb.starter.captions import pairs

SEED = 7
VERSION = 1  # of the recipe below; cached vectors of another version are not used

ADJECTIVES = (
    "old", "small", "large", "broken", "wet", "dusty", "shiny", "wooden", "painted", "tiny", "huge", "beautiful",
    "worn", "new", "rusty", "empty", "colourful", "faded", "bright", "dark", "frozen", "plain", "strange", "rare",
    "common", "handmade", "antique", "young", "lonely", "sunlit", "blurred", "half-hidden", "well-kept", "dirty",
)  # fmt: skip
COLOURS = (
    "red", "green", "blue", "white", "black", "yellow", "brown", "grey", "orange", "purple", "pink", "golden",
    "silver", "turquoise", "beige",
)  # fmt: skip
PLACES = (
    "on a table", "in a garden", "by the sea", "in a museum", "on the street", "at a market", "in a kitchen",
    "in the snow", "in a field", "on a shelf", "at night", "in front of a wall", "in the rain", "on a beach",
    "in a shop window", "at sunset", "under a tree", "in the mountains", "near a lake", "in a workshop",
    "on a white background", "on the grass", "in a small town", "beside the road", "in a harbour", "at the zoo",
    "in a living room", "in an old church", "on a boat", "in the desert", "through a window", "in the city",
    "in a forest", "on a wooden floor", "in a box", "on a farm", "in morning light", "in a hospital", "at school",
)  # fmt: skip
NUMBERS = ("two", "three", "four", "five", "several", "many", "a pair of", "a row of", "a pile of", "a group of")
ACTIONS = (
    "a man holds", "a woman looks at", "a child points at", "somebody carries", "two people stand around",
    "a girl draws", "a boy plays with", "a farmer shows", "a dog sniffs at", "tourists photograph", "a worker cleans",
    "an artist paints", "a couple sits beside", "a crowd gathers around", "a hand reaches for",
)  # fmt: skip
DEPICTIONS = (
    "a photo of", "a close-up of", "a drawing of", "a blurry picture of", "a black and white photograph of",
    "an aerial view of", "a painting of", "a detail of", "a postcard with", "a side view of", "an illustration of",
    "a snapshot of", "a macro shot of", "the shadow of", "a model of", "a sign with", "a book about",
)  # fmt: skip
TEMPLATES = (
    "{way} {a_x}", "{way} {a_x} {place}", "{way} {a_j_x}", "{way} {a_x} beside {a_y}", "{a_x} next to {a_y} {place}",
    "{x}, a kind of {kind}", "{a_j_x} {place}", "{a_c_x} {place}", "{number} {xs} {place}", "{number} {j} {xs}",
    "{number} {xs} and {a_y}", "{doing} {a_x}", "{doing} {a_x} {place}", "{doing} {a_c_x} and {a_y}",
    "{a_x} on top of {a_y}", "{a_c_x} with {a_j_y}", "{xs} {place}", "{xs} and {ys}", "{a_j_x} that looks like {a_y}",
    "the {x} {place}", "{way} the {j} {x} behind {a_y}", "{a_x}, {a_y} and {a_z} {place}",
    "{j} {xs} for sale {place}",
    "{x} ({kind}) {place}", "this is {a_c_x}", "I saw {a_x} {place} today", "my {j} {x}", "{c} {x} isolated on white",
    "{a_x} made of {y}", "{a_x} in the shape of {a_y}", "{doing} {number} {xs} {place}", "what is left of {a_j_x}",
    "{way} {number} {c} {xs}", "{a_x} from above", "{a_x} being repaired {place}", "how to draw {a_x}",
)  # fmt: skip


def texts(seed: int = SEED) -> Iterator[str]:
    """An endless sequence of distinct captions, the same for each seed."""
    # for reproducibility, not for secrecy
    draw = random.Random(seed)
    nouns, plurals = _nouns()

    def a(words: str) -> str:
        # by the first letter, not by the sound
        return f"{'an' if words[0] in 'aeiouAEIOU' else 'a'} {words}"

    def one() -> str:
        first, second, third = (draw.randrange(len(nouns)) for _ in range(3))
        (x, kind), (y, _), (z, _) = nouns[first], nouns[second], nouns[third]
        j, c = draw.choice(ADJECTIVES), draw.choice(COLOURS)
        return draw.choice(TEMPLATES).format(
            x=x, y=y, z=z, kind=kind, j=j, c=c, xs=plurals[first], ys=plurals[second],
            a_x=a(x), a_y=a(y), a_z=a(z), a_j_x=a(f"{j} {x}"), a_c_x=a(f"{c} {x}"),
            a_j_y=a(f"{draw.choice(ADJECTIVES)} {y}"), place=draw.choice(PLACES), number=draw.choice(NUMBERS),
            doing=draw.choice(ACTIONS), way=draw.choice(DEPICTIONS),
        )  # fmt: skip

    seen: set[str] = set()
    while True:
        text = one()
        if text not in seen:
            seen.add(text)
            yield text


@cache
def _nouns() -> tuple[list[tuple[str, str]], list[str]]:
    """The starter list, and the plurals of its nouns, which take a second to compute."""
    english = inflect.engine()
    nouns = list(pairs())
    return nouns, [str(english.plural_noun(noun) or noun) for noun, _ in nouns]
