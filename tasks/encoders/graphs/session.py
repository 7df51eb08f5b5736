"""Runs a graph with ONNX Runtime on the CPU, and keeps built graphs in a folder.

A graph is built once for each version of the package that carries its weights and of the code that builds it: that
takes less than a second, but needs the package ``onnx``, which loading a graph does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tasks.encoders.disk_cache import replacing
from tasks.encoders.protocols import Floats
from tasks.encoders.requirements import ModelNotLoaded, need, version_of

if TYPE_CHECKING:
    import onnx

BUILT_BY = 2  # version of the code that builds graphs; another one builds them anew


class Session:
    """A loaded graph with one output. Thread-safe. ``threads``: so many compute one call."""

    def __init__(self, graph: Path | bytes, threads: int) -> None:
        runtime = need("onnxruntime", "onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors
        # threads that wait must not take the time of other processes
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = runtime.InferenceSession(
            graph if isinstance(graph, bytes) else str(graph), options, providers=["CPUExecutionProvider"]
        )

    def run(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Floats:
        """The output of the graph, float32."""
        return np.asarray(self._session.run(None, dict(inputs))[0], np.float32)


def load(cache_dir: Path, name: str, package: str, build: Callable[[], onnx.ModelProto], threads: int) -> Session:
    """The session of the graph ``name``, whose weights are in ``package``; built if the folder does not have it.

    Several processes may do so at once: each writes its own file and renames it, the last one wins. A graph that
    cannot be loaded is built again. If the folder is not writable, the graph is built at every start.
    """
    return load_kept(cache_dir / "graphs" / f"{name}-{_key(package)}.onnx", build, threads)


def load_kept(path: Path, build: Callable[[], onnx.ModelProto], threads: int) -> Session:
    """The session of the graph in a file; built if the file is missing or cannot be loaded. See ``load``."""
    need("onnxruntime", "onnxruntime")
    if path.is_file():
        try:
            return Session(path, threads)
        # the runtime's errors have no common class below it; a file that was cut off raises several of them
        except Exception:
            path.unlink(missing_ok=True)
    need("onnx", "onnx")
    try:
        _write(path, build())
    except OSError:
        return _checked(build().SerializeToString(), threads, path.stem)
    return _checked(path, threads, path.stem)


def _checked(graph: Path | bytes, threads: int, name: str) -> Session:
    try:
        return Session(graph, threads)
    except Exception as exc:  # as above
        raise ModelNotLoaded(f"ONNX Runtime cannot load the graph {name}: {exc}") from exc


def _key(package: str) -> str:
    """Changes with the version of the package and of the code that builds graphs."""
    has = version_of(package) or "unknown"
    return hashlib.blake2b(f"{package} {has} {BUILT_BY}".encode(), digest_size=6).hexdigest()


def _write(path: Path, graph: onnx.ModelProto) -> None:
    """Write the graph, and its arrays beside it. ONNX Runtime maps these: what is not read takes no memory."""
    import onnx  # noqa: PLC0415 - needed once only

    arrays = path.with_suffix(".data")
    with replacing(arrays, path) as folder:  # the graph last: it names the arrays
        onnx.save_model(graph, folder / path.name, save_as_external_data=True, location=arrays.name)
