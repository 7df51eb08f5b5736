"""CLIP models with random weights, saved as a hub would serve them: for speed, where no model can be downloaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from vectordb.starter import captions


@dataclass(frozen=True)
class Shape:
    """The shape of a CLIP model. Widths are in channels; a head has 64 of them; ``side`` and ``patch`` in pixels."""

    width: int
    layers: int
    patch: int
    text_width: int
    text_layers: int
    dimension: int
    side: int = 224
    vocabulary: int = 49_408
    positions: int = 77


SHAPES = {
    "random-vit-b-32": Shape(768, 12, 32, 512, 12, 512),
    "random-vit-l-14": Shape(1024, 24, 14, 768, 12, 768),
    "random-tiny": Shape(64, 2, 16, 64, 2, 32, side=32),
}
HEAD = 64  # channels


def save_random(name: str, folder: Path) -> None:
    """Build one of ``SHAPES`` and save it, in half precision, with tokenizer and image processor."""
    import torch  # noqa: PLC0415 -- takes seconds
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel  # noqa: PLC0415 -- the same

    shape = SHAPES[name]
    tokenizer = _tokenizer(shape.vocabulary)
    text = {
        "hidden_size": shape.text_width, "intermediate_size": 4 * shape.text_width,
        "num_hidden_layers": shape.text_layers, "num_attention_heads": shape.text_width // HEAD,
        "vocab_size": shape.vocabulary, "max_position_embeddings": shape.positions,
        "bos_token_id": 1, "eos_token_id": 3, "pad_token_id": 0, "projection_dim": shape.dimension,
    }  # fmt: skip
    vision = {
        "hidden_size": shape.width, "intermediate_size": 4 * shape.width, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.width // HEAD, "image_size": shape.side, "patch_size": shape.patch,
        "projection_dim": shape.dimension,
    }  # fmt: skip
    torch.manual_seed(7)
    model: Any = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=shape.dimension))
    side = {"height": shape.side, "width": shape.side}
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": shape.side}, crop_size=side).save_pretrained(folder)


def _tokenizer(vocabulary: int) -> Any:
    """Each word of the starter captions is a token, so texts have about as many tokens as with a published model."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors  # noqa: PLC0415 -- as above
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415 -- as above

    special = {"pad_token": "<pad>", "bos_token": "<s>", "unk_token": "<unk>", "eos_token": "</s>"}
    words = dict.fromkeys(word for caption in captions() for word in re.findall(r"\w+", caption.text.lower()))
    known = {token: number for number, token in enumerate(islice([*special.values(), *words], vocabulary))}
    core = Tokenizer(models.WordLevel(known, special["unk_token"]))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 3)])
    # its signature carries no types
    return PreTrainedTokenizerFast(tokenizer_object=core, **special)  # type: ignore[no-untyped-call]
