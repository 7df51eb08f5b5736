"""A CLIP with random weights and the true size of a published one: it costs what that one costs.

Nothing is downloaded. Its tokenizer makes each word of the starter captions a token, so texts have about as many
tokens as with the published one.
"""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import Any

from vectordb.starter import captions

SIZES: dict[str, dict[str, Any]] = {
    "random-vit-b-32": {
        "text": {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 8},
        "vision": {
            "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
            "image_size": 224, "patch_size": 32,
        },
        "projection_dim": 512,
    },
    "random-vit-l-14": {
        "text": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
        "vision": {
            "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
            "image_size": 224, "patch_size": 14,
        },
        "projection_dim": 768,
    },
    # for tests
    "random-tiny": {
        "text": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4},
        "vision": {
            "hidden_size": 40, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
            "image_size": 32, "patch_size": 8,
        },
        "projection_dim": 24,
    },
}  # fmt: skip
POSITIONS = 77
VOCABULARY = 49_408


def save(folder: Path, name: str, seed: int = 7) -> None:
    """Save the model as the hub would serve it."""
    import torch  # noqa: PLC0415 -- takes seconds
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel  # noqa: PLC0415 -- the same

    size = SIZES[name]
    torch.manual_seed(seed)
    tokenizer = _tokenizer()
    ids = {"vocab_size": VOCABULARY, "bos_token_id": 1, "eos_token_id": 3, "pad_token_id": 0}
    side = size["vision"]["image_size"]
    config = CLIPConfig(
        text_config={**size["text"], **ids, "max_position_embeddings": POSITIONS,
                     "projection_dim": size["projection_dim"]},
        vision_config={**size["vision"], "projection_dim": size["projection_dim"]},
        projection_dim=size["projection_dim"],
    )  # fmt: skip
    model: Any = CLIPModel(config)
    model.logit_scale.data.fill_(4.6052)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor: Any = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    processor.save_pretrained(folder)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors  # noqa: PLC0415 -- as above
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415 -- as above

    special = {"pad_token": "<pad>", "bos_token": "<s>", "unk_token": "<unk>", "eos_token": "</s>"}
    words = dict.fromkeys(word for caption in captions() for word in re.findall(r"\w+", caption.text.lower()))
    vocabulary = {token: number for number, token in enumerate([*special.values(), *words])}
    core = Tokenizer(models.WordLevel(dict(islice(vocabulary.items(), VOCABULARY)), special["unk_token"]))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 3)])
    # its signature carries no types
    return PreTrainedTokenizerFast(tokenizer_object=core, **special)  # type: ignore[no-untyped-call]
