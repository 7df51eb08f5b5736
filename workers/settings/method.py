"""The method: the encoder, and the parameters of retrieval, extraction and scoring."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt

from workers.settings.topic import Topic, UserPath

DEVICES = r"auto|cpu|mps|cuda(:\d{1,3})?"


def _device(wish: str) -> str:
    if re.fullmatch(DEVICES, wish) is None:
        raise ValueError("is no device: choose auto, cpu, cuda, cuda:N or mps")
    return wish


class MethodSettings(Topic):
    """Encoder and method. A threshold without a value is measured for the encoder, or derived for the captions."""

    encoder: str = Field(
        "bundled", description="Encoder: bundled, or the hub name or the folder of a CLIP or SigLIP model."
    )
    test_time_augmentation: bool = Field(
        default=False,
        description="Encode the mirror image of each image as well and average both. Takes twice the time; only for"
        " the bundled encoder.",
    )
    threads: PositiveInt | None = Field(None, description="CPU threads that a model uses. Default: all cores.")
    device: Annotated[str, AfterValidator(_device)] = Field(
        "auto",
        description="Device of the models of transformers: auto, cpu, cuda, cuda:N or mps. auto: the first GPU that"
        " works, or else the CPU. The bundled encoder always uses the CPU.",
    )  # fmt: skip
    runtime: Literal[
        "auto", "torch-float32", "torch-bfloat16", "onnx-float32", "onnx-int8", "compile-bfloat16"
    ] = Field(
        "auto",
        description="How a model of transformers encodes on a CPU: auto, torch-float32, torch-bfloat16, onnx-float32,"
        " onnx-int8 or compile-bfloat16. auto: the fastest by measurement (wildtag tune) whose vectors stay within a"
        " cosine of 0.999 to float32. onnx-int8 is less exact and has a vector space of its own.",
    )  # fmt: skip
    tune: bool = Field(
        default=True,
        description="Measure at the first start which runtime and batch are fastest for the encoder on this machine."
        " Takes about 20 seconds at most.",
    )
    words_ahead: bool = Field(
        default=True,
        description="Encode the words of the captions while no image is in progress, so that they are known when an"
        " image needs them. Takes half of a core for some minutes, once for each caption database.",
    )
    retrieval_limit: PositiveInt = Field(10, description="Captions retrieved for each image (K in the paper).")
    duplicate_similarity: float = Field(
        0.94, gt=0, le=1, description="Cosine similarity above which two retrieved captions count as duplicates."
    )
    profile: Literal["phrases", "paper"] = Field(
        "phrases",
        description="Extraction of candidates. phrases: noun phrases and their heads; paper: single words, as in the"
        " paper.",
    )
    alpha: float = Field(
        0.7, ge=0, le=1, description="Weight of the image score against the caption score, from 0 to 1."
    )
    tau: PositiveFloat = Field(
        1.0, description="Temperature that divides the logits. A higher value spreads the scores over more tags."
    )
    prompts: UserPath | None = Field(
        None,
        description="File with one prompt template a line, with {} for the candidate (UpperCaSED). Default: the"
        " candidate alone.",
    )
    max_tags: PositiveInt = Field(5, description="Tags for each image at most.")
    min_confidence: float | None = Field(
        None, ge=0, le=1,
        description="Minimum confidence of a tag: the probability that a person accepts it. Only for encoders with a"
        " confidence model. Default: the value in the model.",
    )  # fmt: skip
    confidence_model: UserPath | None = Field(
        None,
        description="File with the confidence model of the encoder. Default: the one that wildtag calibrate stored in"
        " the home folder, or else the one that wildtag ships for the encoder.",
    )
    detect_featureless: bool = Field(
        default=True,
        description="An image that shows nothing (one colour, a gradient, heavy blur, a covered lens, noise) gets no"
        " tags.",
    )
    distinct_tags: bool = Field(
        default=True,
        description="Of tags that exclude each other, show the one that stands out, or what they have in common; drop"
        " tags that only resemble another in spelling, and very general words ('animal') beside their kinds."
        " Off in profile paper.",
    )  # fmt: skip
    min_score: float | None = Field(
        None, ge=0, le=1, description="Minimum score of a tag. Default: the threshold of the encoder."
    )
    synonym_similarity: float | None = Field(
        None, gt=0, le=1,
        description="Cosine similarity above which two candidates are merged into one tag. 1 merges none. Default:"
        " measured for the encoder, or derived for the captions.",
    )  # fmt: skip
    head_similarity: float | None = Field(
        None, gt=0, le=1,
        description="Cosine similarity above which a merged tag is named by its noun alone, fox for red fox. 1:"
        " never. Default: measured for the encoder, or derived for the captions.",
    )  # fmt: skip
    unknown_similarity: float | None = Field(
        None, ge=-1, le=1,
        description="Minimum cosine similarity between an image and its best caption. An image below it gets no tags."
        " -1 disables it. Default: measured for the encoder, or derived for the captions.",
    )  # fmt: skip
    evidence_similarity: float | None = Field(
        None, ge=-1, le=1,
        description="Minimum cosine similarity between an image and the best caption that names a tag. -1 disables"
        " it. Default: derived for the captions, for encoders without measured thresholds.",
    )  # fmt: skip
