"""Small random SAM and CLIPSeg models, saved as the hub would serve them. Nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    SamConfig,
    SamImageProcessorPil,
    SamModel,
    ViTImageProcessorPil,
)

from tests.unit.encoders.models import letters

SIDE = 64


def save_sam(folder: Path) -> None:
    torch.manual_seed(3)
    vision = {
        "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "image_size": SIDE, "patch_size": 8, "mlp_dim": 32,
        "global_attn_indexes": [1], "window_size": 4, "num_pos_feats": 8,
    }  # fmt: skip
    prompts = {"hidden_size": 16, "image_size": SIDE, "patch_size": 8, "mask_input_channels": 4}
    decoder = {
        "hidden_size": 16, "mlp_dim": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
    }  # fmt: skip
    config = SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    SamModel(config).save_pretrained(folder)
    processor = SamImageProcessorPil(
        size={"longest_edge": SIDE}, pad_size={"height": SIDE, "width": SIDE},
        mask_size={"longest_edge": SIDE // 2}, mask_pad_size={"height": SIDE // 2, "width": SIDE // 2},
    )  # fmt: skip
    processor.save_pretrained(folder)


def save_clipseg(folder: Path) -> None:
    torch.manual_seed(4)
    tokenizer = letters()
    text = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "vocab_size": len(tokenizer), "bos_token_id": 1, "eos_token_id": 3, "pad_token_id": 0,
        "max_position_embeddings": 24,
    }  # fmt: skip
    vision = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
        "image_size": 32, "patch_size": 8,
    }  # fmt: skip
    config = CLIPSegConfig(
        text_config=text, vision_config=vision, projection_dim=24, reduce_dim=16, extract_layers=[0, 1],
        decoder_num_attention_heads=2, decoder_intermediate_size=32, conditional_layer=0,
    )  # fmt: skip
    CLIPSegForImageSegmentation(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
