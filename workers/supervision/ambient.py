"""The part of an environment that every process may have: paths, locale, and what tunes libraries.

A list of what is passed on, because nobody can list what must not be: a shell may hold the tokens of any program.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

NAMES = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP", "TERM", "COLUMNS", "LINES",
    "NO_COLOR", "FORCE_COLOR", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LD_PRELOAD", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR",
    "C_FORCE_ROOT", "REMAP_SIGTERM",
})  # fmt: skip
"""Variables that are passed on."""

PREFIXES = (
    "LC_", "PYTHON", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_", "TORCH", "PYTORCH_", "CUDA", "NVIDIA_",
    "HIP_", "ROCR_", "ROCM_", "HSA_", "MIOPEN_", "MALLOC_", "HF_", "TRANSFORMERS_", "TOKENIZERS_",
)  # fmt: skip
"""Beginnings of the names of further ones, unless such a name looks like that of a secret."""

_SECRET = re.compile(r"TOKEN(?!IZERS_)|SECRET|PASS|CREDENTIAL|AUTH|_KEY")


def ambient(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of this environment that every process may have."""
    return {name: value for name, value in environment.items() if _passed_on(name)}


def _passed_on(name: str) -> bool:
    return name in NAMES or (name.startswith(PREFIXES) and not _SECRET.search(name))
