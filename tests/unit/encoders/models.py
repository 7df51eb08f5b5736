"""Small random CLIP and SigLIP models, saved as the hub would serve them. Nothing is downloaded."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    PreTrainedTokenizerFast,
    Siglip2Config,
    Siglip2ImageProcessorPil,
    Siglip2Model,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
)

KINDS = ("clip", "siglip", "siglip2")
_TEXT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
_VISION = {"hidden_size": 40, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def save_model(folder: Path, kind: str) -> Any:
    """Build a random model of a family, save it with tokenizer and image processor, and return it."""
    torch.manual_seed(7)
    tokenizer = letters()
    ids = {"vocab_size": len(tokenizer), "bos_token_id": 1, "eos_token_id": 2 if kind != "clip" else 3}
    if kind == "clip":
        text = {**_TEXT, **ids, "pad_token_id": 0, "max_position_embeddings": 24, "projection_dim": 99}
        vision = {**_VISION, "image_size": 32, "patch_size": 8, "projection_dim": 98}
        model: Any = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24))
        processor: Any = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
        model.logit_scale.data.fill_(3.21)
    else:
        text = {**_TEXT, **ids, "max_position_embeddings": 16, "projection_size": 40}
        if kind == "siglip":
            vision = {**_VISION, "image_size": 32, "patch_size": 8}
            model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
            processor = SiglipImageProcessorPil(size={"height": 32, "width": 32})
        else:
            vision = {**_VISION, "num_patches": 16, "patch_size": 8}
            model = Siglip2Model(Siglip2Config(text_config=text, vision_config=vision))
            processor = Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)
        model.logit_scale.data.fill_(4.5)
        model.logit_bias.data.fill_(-12.5)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model


def letters() -> PreTrainedTokenizerFast:
    """Letters are tokens; a text stands between its first and last token."""
    special = {"pad_token": "<pad>", "bos_token": "<s>", "unk_token": "<unk>", "eos_token": "</s>"}
    vocabulary = {token: i for i, token in enumerate([*special.values(), *string.printable])}
    core = Tokenizer(models.WordLevel(vocabulary, special["unk_token"]))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    core.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 3)])
    # its signature carries no types
    return PreTrainedTokenizerFast(tokenizer_object=core, **special)  # type: ignore[no-untyped-call]
