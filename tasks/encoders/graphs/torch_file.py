"""Reads the tensors of a file that ``torch.save`` wrote in its format before 1.6, without torch.

Such a file is a sequence of pickles (a magic number, the version of the format, facts about the system, the object,
the keys of its storages) that is followed by the storages. Only what a dictionary of tensors consists of can be
unpickled: every other name is refused, so nothing that the file says is run. The format is that of ``_legacy_save``
in torch/serialization.py.
"""

from __future__ import annotations

import pickle  # nosec B403 - nothing that a file names is called, see find_class
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from tasks.encoders.requirements import ModelNotLoaded

Tensors = dict[str, npt.NDArray[Any]]

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
_TYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    count: int  # elements


@dataclass(frozen=True)
class _View:
    """A tensor: a part of a storage. ``stride`` and ``offset`` count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_tensors(path: Path) -> Tensors:
    """The tensors of the dictionary in a file, by name. Raises ``ModelNotLoaded`` if it holds anything else."""
    try:
        with path.open("rb") as file:
            return _read(file)
    except ModelNotLoaded:
        raise
    # what a damaged pickle raises depends on where it is damaged
    except Exception as exc:
        raise ModelNotLoaded(f"the weights in {path} cannot be read: {exc}") from exc


def _read(file: BinaryIO) -> Tensors:
    if _Unpickler(file).load() != MAGIC or _Unpickler(file).load() != VERSION:
        raise ModelNotLoaded("the weights are not in the expected format of torch.save")
    _Unpickler(file).load()  # facts about the system that wrote it
    views = _Unpickler(file).load()
    if not isinstance(views, dict) or not all(isinstance(view, _View) for view in views.values()):
        raise ModelNotLoaded("the weights are not a dictionary of tensors")
    dtypes = {view.storage.key: view.storage.dtype for view in views.values()}
    content = {str(key): _storage(file, dtypes[key]) for key in _Unpickler(file).load()}
    return {str(name): _tensor(view, content[view.storage.key]) for name, view in views.items()}


def _storage(file: BinaryIO, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    count = int.from_bytes(file.read(8), "little")
    content = file.read(count * dtype.itemsize)
    return np.frombuffer(content, dtype, count)


def _tensor(view: _View, content: npt.NDArray[Any]) -> npt.NDArray[Any]:
    last = view.offset + sum((side - 1) * step for side, step in zip(view.shape, view.stride, strict=True))
    elements = 1
    for side in view.shape:
        elements *= side
    if min(view.offset, *view.shape, *view.stride, 0) < 0 or last >= len(content) or elements > len(content):
        raise ModelNotLoaded("a tensor of the weights lies outside of its storage")
    strides = [step * content.itemsize for step in view.stride]
    return np.lib.stride_tricks.as_strided(content[view.offset :], view.shape, strides, writeable=False).copy()


def _view(storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object) -> _View:
    """Stands for ``torch._utils._rebuild_tensor_v2``; the rest is about gradients."""
    return _View(storage, offset, shape, stride)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="utf-8")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _view
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        raise ModelNotLoaded(f"the weights name {module}.{name}, which no tensor needs")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count, parts = pid
        if kind != "storage" or parts is not None:
            raise ModelNotLoaded("the weights have a storage of an unknown kind")
        return _Storage(str(key), dtype, int(count))
