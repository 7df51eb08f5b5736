"""Small random captioning models, saved as the hub would serve them. Nothing is downloaded."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessorPil,
    CLIPImageProcessorPil,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

KINDS = ("blip-2", "llava")
SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
IMAGE = {"image_token": "<image>"}


def save_captioner(folder: Path, kind: str) -> None:
    """Build a random model of a family and save it with its processor."""
    torch.manual_seed(3)
    tokenizer = _tokenizer()
    ids = {"vocab_size": len(tokenizer), "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 3}
    image: Any = tokenizer.convert_tokens_to_ids("<image>")
    if kind == "blip-2":
        config: Any = Blip2Config(
            vision_config={**SMALL, "image_size": 32, "patch_size": 8},
            qformer_config={**SMALL, "encoder_hidden_size": 32},
            text_config={
                "model_type": "opt", "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2,
                "num_attention_heads": 4, "word_embed_proj_dim": 32, "max_position_embeddings": 128, **ids,
            },
            num_query_tokens=4,
            image_token_index=image,
        )  # fmt: skip
        model: Any = Blip2ForConditionalGeneration(config)
        images = BlipImageProcessorPil(size={"height": 32, "width": 32})
        # its signature carries no types
        processor: Any = Blip2Processor(images, tokenizer, num_query_tokens=4)  # type: ignore[no-untyped-call]
    else:
        vision = {"model_type": "clip_vision_model", **SMALL, "image_size": 32, "patch_size": 8}
        text = {"model_type": "llama", **SMALL, "num_key_value_heads": 4, "max_position_embeddings": 256, **ids}
        config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=image)
        model = LlavaForConditionalGeneration(config)
        resized = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
        # its signature carries no types
        processor = LlavaProcessor(  # type: ignore[no-untyped-call]
            resized, tokenizer, patch_size=8, vision_feature_select_strategy="default",
            num_additional_image_tokens=1, **IMAGE,
        )  # fmt: skip
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)


def _tokenizer() -> PreTrainedTokenizerFast:
    """Letters are tokens, and an image is one."""
    special = {"pad_token": "<pad>", "bos_token": "<s>", "unk_token": "<unk>", "eos_token": "</s>"}
    vocabulary = {token: i for i, token in enumerate([*special.values(), "<image>", *string.printable])}
    core = Tokenizer(models.WordLevel(vocabulary, special["unk_token"]))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    # its signature carries no types
    made = PreTrainedTokenizerFast(tokenizer_object=core, **special)  # type: ignore[no-untyped-call]
    made.add_special_tokens({"additional_special_tokens": ["<image>"]})
    made.image_token = IMAGE["image_token"]
    return made
