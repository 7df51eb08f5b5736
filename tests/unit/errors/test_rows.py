"""The table of consequences: every error of wildtag has a row, and every error of a library ends in one that fits."""

from __future__ import annotations

import ast
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc  # type: ignore[import-untyped] # its types are another package
import httpx
import kombu.exceptions
import minio.error
import onnxruntime.capi.onnxruntime_pybind11_state as onnx  # type: ignore[import-untyped] # has no types
import pytest
import redis.exceptions
import urllib3.exceptions
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from vectordb import edge_shard, server_errors
from vectordb.index import IndexFault, IndexMissing
from vectordb.resources import PASSING
from workers.errors.consequences import Consequence, Effect, of, service_of
from workers.errors.rows import ROWS
from workers.redis.connection import translated as redis_translated
from workers.redis.rpc import RpcTransient
from workers.stores.folder_files import reading, writing
from workers.stores.s3_errors import CLOCK, CREDENTIALS, DENIED, MISSING, NAMES, PASSES, REGION, RequestContext
from workers.stores.s3_errors import translated as s3_translated

ROOT = Path(__file__).parents[3]
OURS = ("vectordb", "tasks", "workers")


def declared() -> Iterator[tuple[str, set[str]]]:
    """The full name of every class of wildtag, and of those that it is made of."""
    for package in OURS:
        for file in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            here: dict[str, str] = {}
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ImportFrom):
                    here |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
                elif isinstance(node, ast.ClassDef):
                    here[node.name] = f"{module}.{node.name}"
                    yield here[node.name], {here.get(ast.unparse(base), "") for base in node.bases}


def test_every_error_of_wildtag_has_a_row_and_no_row_is_of_a_class_that_is_gone() -> None:
    classes = list(declared())
    errors, known = {"vectordb.errors.WildtagError"}, 0
    while known != len(errors):  # until nothing is derived of what was found
        known = len(errors)
        errors |= {name for name, bases in classes if errors & bases}
    assert len(errors) > 100
    assert not sorted(errors - ROWS.keys()), "decide what follows from it: workers/errors/rows.py"
    everything = {name for name, _ in classes}
    assert not sorted(name for name in ROWS if name.split(".")[0] in OURS and name not in everything)


def raised(within: Callable[[], Any], error: BaseException) -> Effect:
    """What follows from an error that an adapter translates, or lets pass."""
    try:
        with within():
            raise error  # noqa: TRY301 -- within what translates it
    except Exception as exc:
        return of(exc)


def below(kind: type[Any]) -> Iterator[type[Any]]:
    yield kind
    for one in kind.__subclasses__():
        yield from below(one)


def made(kind: type[Any]) -> Any:
    """An error of a class, whatever it takes to make one."""
    any_kind: Any = kind
    one = any_kind.__new__(any_kind)
    BaseException.__init__(one, "it failed")
    return one


# -- the object store

S3 = RequestContext("s3.test", "here", lambda: "the key", "photos", "a.jpg")


@pytest.mark.parametrize("status", [400, 403, 404, 409, 412, 416, 429, 500, 501, 503, 507])
def test_refusals_of_an_s3_server(status: int) -> None:
    waits = {*CREDENTIALS, *CLOCK, *REGION, *PASSES, "NoSuchBucket"}
    for code in (*waits, *MISSING, *DENIED, *NAMES, "InvalidObjectState", "Odd"):
        response: Any = SimpleNamespace(status=status, data=b"x")
        effect = raised(lambda: s3_translated(S3), minio.error.S3Error(response, code, "no", "r", "i", "h"))
        away = code in waits or status in {429, 500, 503, 507}
        assert effect.passes == away, (code, status, effect)
        assert (effect.service == "store") == away


def test_what_is_no_answer_of_an_s3_server_is_an_outage_of_the_store() -> None:
    kinds = [*below(urllib3.exceptions.HTTPError), *below(minio.error.MinioException)]
    assert {urllib3.exceptions.IncompleteRead, urllib3.exceptions.ReadTimeoutError} <= set(kinds), "a truncated body"
    for kind in kinds:
        error = made(kind)
        if isinstance(error, minio.error.S3Error):
            error.code, error.message = None, "no"
        if isinstance(error, urllib3.exceptions.InvalidChunkLength):
            error.length, error.response = b"x", SimpleNamespace(tell=lambda: 0)  # type: ignore[assignment]
        if isinstance(error, urllib3.exceptions.IncompleteRead | urllib3.exceptions.InvalidChunkLength):
            error.partial, error.expected = 1, 2
        if isinstance(error, urllib3.exceptions.MaxRetryError):
            error.reason = None
        assert service_of(error) == "store", kind
        assert raised(lambda: s3_translated(S3), error).service == "store", kind


@pytest.mark.parametrize("code", sorted(errno.errorcode))
def test_every_error_of_the_operating_system_over_a_file(code: int) -> None:
    error = OSError(code, os.strerror(code))
    effect = raised(reading, error)
    assert (effect.consequence is Consequence.WAIT) == (code in PASSING)
    if code in PASSING:
        assert effect.service == "store"
        assert of(error).passes, "where nothing translated it"
    else:
        assert effect.consequence is Consequence.REFUSE
    assert raised(writing, error).service == "store"


@pytest.mark.parametrize("name", ["ENOSPC", "EMFILE", "ENFILE", "ENOMEM", "EIO", "EDQUOT", "ESTALE", "EROFS"])
def test_what_a_machine_lacks_passes(name: str) -> None:
    assert getattr(errno, name) in PASSING


# -- captions

SHORT = (
    "failed to load segment /s: Failed to open mmap payload storage: Cannot allocate memory (os error 12)",
    "cannot load edge shard: Too many open files (os error 24)",
    "Service runtime error: No space left on device (os error 28)",
    "failed to load segment: Input/output error (os error 5)",
    "Out of memory, free: 1, required: 2",
)


@pytest.mark.parametrize("text", SHORT)
def test_an_index_that_lacks_resources_is_not_damaged(text: str) -> None:
    with pytest.raises(IndexFault), edge_shard.translated(Path("/s")):
        raise Exception(text)  # noqa: TRY002 -- as the library does


def test_a_damaged_index_is_waited_for() -> None:
    with pytest.raises(IndexMissing) as damaged, edge_shard.translated(Path("/s")):
        raise Exception("failed to load segment /s: expected value at line 1")  # noqa: TRY002 -- as above
    assert of(damaged.value) == Effect(Consequence.WAIT, "captions", "vectordb.index.IndexMissing")


def test_a_panic_of_the_library_and_a_lack_of_memory_are_faults_of_the_index() -> None:
    class PanicException(BaseException):
        """As that of the library."""

    for error in (PanicException("called unwrap"), MemoryError()):
        with pytest.raises(IndexFault), edge_shard.translated(Path("/s")):
            raise error


@pytest.mark.parametrize("code", [12, 24, 5, 28])
def test_an_index_whose_file_cannot_be_opened_now_is_not_missing(
    code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(*_: object, **__: object) -> str:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(IndexFault):
        edge_shard.recorded_dimension(tmp_path, "there is no index")


def test_answers_of_a_qdrant_server() -> None:
    for status in range(400, 600):
        answer = UnexpectedResponse(status, "no", b"refused", httpx.Headers())
        assert raised(server_errors.translated, answer).service == (None if status == 409 else "captions"), status
    memory = UnexpectedResponse(400, "Bad Request", b"Service error: Cannot allocate memory", httpx.Headers())
    assert raised(server_errors.translated, memory).row == "vectordb.server_errors.ServerAway"
    for code in grpc.StatusCode:
        error = made(grpc.RpcError)
        error.code, error.details = lambda code=code: code, lambda: "no"
        effect = raised(server_errors.translated, error)
        assert effect.passes == (code is not grpc.StatusCode.ALREADY_EXISTS), code


def test_connections_to_a_qdrant_server() -> None:
    assert service_of(made(grpc.RpcError)) == "captions"
    assert raised(server_errors.translated, ResourceExhaustedResponse("slow down", 3)).service == "captions"
    for kind in below(httpx.TransportError):
        source = made(kind)
        source._request = httpx.Request("GET", "http://qdrant:6333")
        assert raised(server_errors.translated, ResponseHandlingException(source)).service == "captions", kind
        assert service_of(made(kind)) == "captions"


# -- Redis, the broker, other processes


def test_errors_of_redis() -> None:
    bugs = {
        "ResponseError", "DataError", "InvalidData", "NoScriptError", "LockError", "LockNotOwnedError", "PubSubError",
        "WatchError", "ExecAbortError", "ModuleError", "AuthenticationWrongNumberOfArgsError", "RedisError",
        "RedisClusterException", "CrossSlotTransactionError", "SlotNotCoveredError", "InvalidPipelineStack",
    }  # fmt: skip
    for kind in below(redis.exceptions.RedisError):
        if not kind.__module__.startswith("redis.") or kind.__name__ in bugs:
            continue
        effect = raised(redis_translated, made(kind))
        assert effect.passes or effect.consequence is Consequence.BUG, kind
        if issubclass(kind, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
            assert effect.service == "redis", kind
    for said in ("MISCONF no disk", "NOREPLICAS", "BUSY script", "UNBLOCKED"):
        assert raised(redis_translated, redis.exceptions.ResponseError(said)).service == "redis"
    for kind in (
        redis.exceptions.NoPermissionError,
        redis.exceptions.OutOfMemoryError,
        redis.exceptions.ReadOnlyError,
    ):
        assert raised(redis_translated, kind("no")).service == "redis"
    assert raised(redis_translated, redis.exceptions.ResponseError("WRONGTYPE")).consequence is Consequence.BUG


def test_errors_of_the_broker_and_of_other_processes() -> None:
    assert service_of(kombu.exceptions.OperationalError("no")) == "broker"
    assert of(RpcTransient("the captions are damaged", "captions")).consequence is Consequence.WAIT
    assert of(RpcTransient("busy")).consequence is Consequence.RETRY
    assert of(ConnectionResetError()).passes
    assert of(TimeoutError()).passes


# -- models


def test_errors_of_onnx_runtime() -> None:
    kinds = [one for one in vars(onnx).values() if isinstance(one, type) and issubclass(one, Exception)]
    assert len(kinds) > 10
    for kind in kinds:
        consequence = of(kind("it failed")).consequence
        one_object = kind.__name__ in {"Fail", "InvalidArgument", "RuntimeException", "NotFound"}
        assert consequence is (Consequence.BUG if one_object else Consequence.WAIT), kind
    short = onnx.RuntimeException("bfc_arena.cc: Failed to allocate memory for requested buffer of size 4294967296")
    assert of(short).consequence is Consequence.ALONE


def test_a_bug_that_only_quotes_such_words_is_one() -> None:
    assert of(ValueError("out of memory")).consequence is Consequence.BUG
    assert of(RuntimeError("CUDA out of memory")).consequence is Consequence.ALONE
    assert of(MemoryError()).consequence is Consequence.ALONE
    assert of(KeyboardInterrupt()).consequence is Consequence.RAISE
    assert of(SystemExit()).consequence is Consequence.RAISE
