"""Fetches the files of a caption set into a folder, once, and remembers their checksums."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import urlsplit

import stamina

from tasks.encoders.hub import require_hub
from vectordb.archive import BadArchive
from vectordb.disk_space import require_space
from vectordb.errors import Transient
from vectordb.readers.detection import natural_text
from vectordb.unpacking import take_out
from workers.captions.datasets import download as downloading
from workers.captions.datasets.download import BadDownload, OnBytes, digest, download
from workers.captions.datasets.known_datasets import Dataset

T = TypeVar("T")

_CHECKSUMS = "checksums.json"
_WHEN = 946_684_800  # of all files (2000-01-01), so that a version's identity is that of the content


@dataclass(frozen=True)
class Fetched:
    """``files``: in reading order. ``version``: derived from their checksums, so the same everywhere."""

    files: tuple[Path, ...]
    version: str


def known_version(folder: Path) -> str | None:
    """The version of what was fetched into this folder once, also after its files were removed."""
    known = _known(folder)
    return _version(known.values()) if known else None


def fetch(dataset: Dataset, folder: Path, on_file: OnBytes, hub: str | None = None) -> Fetched:
    """The files of a caption set in ``folder``; downloads what is missing.

    ``hub``: the address of a Hugging Face hub, if not the one that ``huggingface_hub`` is set to (HF_ENDPOINT).
    Records their SHA-256 at the first download. Raises ``BadDownload`` when a file differs from it, or from the
    checksum that the source publishes, ``DiskFull``, and ``Transient`` when the source is away.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if dataset.bytes is not None and not any(folder.iterdir()):
        require_space(folder, dataset.bytes, f"download {dataset.name}")
    files = _of_hub(dataset, folder, hub) if dataset.hub is not None else _of_urls(dataset, folder, on_file)
    known, sums = _known(folder), {}
    for file, sum_ in files.items():
        name = file.relative_to(folder).as_posix()
        sums[name] = sum_
        if name in known and known[name] != sums[name]:
            raise BadDownload(
                f"{file} is not what was fetched before (its SHA-256 was {known[name]}, now {sums[name]}). If the"
                f" source has published it anew, remove the folder {folder} and run the command again"
            )
        os.utime(file, (_WHEN, _WHEN))
    (folder / _CHECKSUMS).write_text(json.dumps({**known, **sums}, indent=1) + "\n")
    return Fetched(tuple(files), _version(sums.values()))


def remove_files(fetched: Fetched) -> None:
    """Remove what was downloaded; its checksums stay."""
    for file in fetched.files:
        file.unlink(missing_ok=True)


def _known(folder: Path) -> dict[str, str]:
    path = folder / _CHECKSUMS
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _version(sums: Iterable[str]) -> str:
    return hashlib.blake2b(" ".join(sorted(sums)).encode(), digest_size=5).hexdigest()


def _of_urls(dataset: Dataset, folder: Path, on_file: OnBytes) -> dict[Path, str]:
    """Each file with its SHA-256."""
    files = {}
    for url in dataset.urls:
        file = folder / PurePosixPath(urlsplit(url).path).name
        wanted = folder / PurePosixPath(dataset.member).name if dataset.member else file
        if not wanted.exists():
            if not file.exists():
                download(url, file, on_file)
            if dataset.sha256 is not None and digest(file).hexdigest() != dataset.sha256:
                file.unlink()
                raise BadDownload(f"{url}: the downloaded file does not have the published SHA-256 {dataset.sha256}")
            if dataset.member:
                _take_out(file, dataset.member, wanted)
        files[wanted] = digest(wanted).hexdigest()
    return files


def _take_out(archive: Path, member: str, target: Path) -> None:
    """Take one file out of a ZIP archive, which is removed."""
    try:
        take_out(archive, member, target)
    except BadArchive as exc:
        archive.unlink()
        raise BadDownload(str(exc)) from exc
    archive.unlink()


def _of_hub(dataset: Dataset, folder: Path, hub: str | None) -> dict[Path, str]:
    """Each file with its SHA-256."""
    from huggingface_hub import HfApi, hf_hub_download  # noqa: PLC0415 - takes a second
    from huggingface_hub.hf_api import RepoFile  # noqa: PLC0415 - as above

    assert dataset.hub is not None  # noqa: S101 - the catalogue checks it
    assert dataset.files is not None  # noqa: S101 - as above
    require_hub(hub)
    repo = dataset.hub
    list_tree = partial(HfApi(endpoint=hub).list_repo_tree, repo, repo_type="dataset", recursive=True)
    tree = _asked(dataset, lambda: list(list_tree()))
    found = [entry for entry in tree if isinstance(entry, RepoFile) and fnmatchcase(entry.path, dataset.files)]
    if not found:
        raise BadDownload(f"{dataset.hub} has no files {dataset.files} any more; see {dataset.source}")
    chosen = sorted(found, key=lambda entry: natural_text(entry.path))[: dataset.most]
    missing = sum(entry.size for entry in chosen if not (folder / entry.path).exists())
    require_space(folder, missing, f"download {dataset.name}")
    files = {}
    for entry in chosen:
        download_file = partial(
            hf_hub_download, repo, entry.path, repo_type="dataset", local_dir=folder, endpoint=hub
        )
        file = Path(_asked(dataset, download_file))
        files[file] = digest(file).hexdigest()
        if entry.lfs is not None and files[file] != entry.lfs.sha256:
            file.unlink()
            raise BadDownload(f"{entry.path}: the downloaded file does not have the SHA-256 that the hub states")
    return files


def _asked(dataset: Dataset, call: Callable[[], T]) -> T:
    """Call ``huggingface_hub``, three times if need be: a server may close a connection that was kept for reuse."""
    for attempt in stamina.retry_context(
        on=Transient, attempts=3, timeout=None, wait_initial=downloading.PAUSE_S, wait_max=20 * downloading.PAUSE_S
    ):
        with attempt, _translated(dataset):
            return call()
    raise AssertionError  # the last attempt returns or raises


@contextmanager
def _translated(dataset: Dataset) -> Iterator[None]:
    """Translates the errors of ``huggingface_hub``."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError  # noqa: PLC0415 - as above

    try:
        yield
    except GatedRepoError as exc:
        raise BadDownload(
            f"{dataset.hub} is given only to those who accepted its terms: accept them on its page of the hub, then"
            " log in with `hf auth login`, or set HF_TOKEN"
        ) from exc
    except RepositoryNotFoundError as exc:
        raise BadDownload(
            f"{dataset.hub} is not on the hub, or not for you (HF_TOKEN); see {dataset.source}"
        ) from exc
    except Exception as exc:  # of the library, and of the HTTP client that it happens to use
        reason = str(exc).strip().partition("\n")[0]
        raise Transient(f"{dataset.hub} cannot be fetched from the hub: {reason}") from exc
