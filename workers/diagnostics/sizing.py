"""How much an installation needs for so many images a day: arithmetic with the measured figures of ``sizing.toml``.

Cores are those at the peak, divided by the share of them that is to be used. Memory of processes is the largest PSS
that was measured. Everything grows in proportion; the result names what was not measured.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from vectordb.decoders import converted
from vectordb.errors import Permanent

FIGURES = Path(__file__).with_name("sizing.toml")
DAY_S = 86_400
BUNDLED_DIMENSION = 384  # of the vectors whose bytes were measured
CORES_A_MODEL = 2  # with which a process that computes a model was measured
HEADROOM = 1.25  # of maxmemory over the data, since a full Redis accepts nothing
FORK = 1.5  # of a node's memory over maxmemory: pages that change while the append-only file is rewritten
REWRITE = 3  # times the append-only file after a rewrite: it has grown as much again, and a new one is written
FEED_LENGTH = 10_000  # the default of WILDTAG_FEED_LENGTH
METHODS = ("regions", "dense")


class UnknownEncoder(Permanent):
    """There are no figures for this encoder. The text says what to measure."""


class Figure(msgspec.Struct, frozen=True):
    """A measured figure; see ``sizing.toml``."""

    value: float
    unit: str
    what: str
    where: str
    measured: bool = True


def figures() -> dict[str, Figure]:
    """All figures by name, in the order of the file."""
    return converted(tomllib.loads(FIGURES.read_text(encoding="utf-8")), dict[str, Figure])


@dataclass(frozen=True)
class Demand:
    """What is asked for. ``archive``: images that are there already. ``segmented``: the share that is segmented.

    ``image_ms``: CPU of the encoder for one image, own measurement. ``used``: share of the cores that is used at the
    peak, which is ``peak_factor`` times the mean.
    """

    images_a_day: float
    days_kept: float = 365
    archive: int = 0
    captions: int = 30_000
    peak_factor: float = 4
    encoder: str = "bundled"
    image_ms: float | None = None
    dimension: int | None = None
    partitions: int = 1
    segmented: float = 0
    method: str = "regions"
    sidecars: bool = False
    used: float = 0.7

    @property
    def peak(self) -> float:
        """Images a second at the peak."""
        return self.images_a_day / DAY_S * self.peak_factor

    @property
    def records(self) -> int:
        """Images with a record at the end."""
        return self.archive + round(self.images_a_day * self.days_kept)


class ProcessSize(msgspec.Struct, frozen=True):
    """The processes of a queue or service: how many, their cores together, and their memory together in bytes."""

    name: str
    processes: int
    cores: float
    memory: int


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed. Bytes, cores and images a second. ``notes``: what has to change, and what was not measured.

    ``redis_*``: of each node, of which there are ``redis_nodes``.
    """

    peak: float
    records: int
    processes: list[ProcessSize]
    redis_nodes: int
    redis_data: int
    redis_maxmemory: int
    redis_memory: int
    redis_disk: int
    index_memory: int
    index_pages: int
    index_disk: int
    bucket_disk: int
    notes: list[str] = field(default_factory=list)

    @property
    def cores(self) -> float:
        """Of all processes, Redis included."""
        return round(sum(one.cores for one in self.processes), 2)

    @property
    def memory(self) -> int:
        """Of everything, without pages of files."""
        return sum(one.memory for one in self.processes) + self.redis_nodes * self.redis_memory + self.index_memory

    @property
    def disk(self) -> int:
        """Of everything that wildtag stores."""
        return self.redis_nodes * self.redis_disk + self.index_disk + self.bucket_disk

    def row(self) -> dict[str, Any]:
        """For JSON."""
        return {**msgspec.to_builtins(self), "cores": self.cores, "memory": self.memory, "disk": self.disk}


def size(demand: Demand, known: Mapping[str, Figure]) -> Size:
    """What is needed. Raises ``UnknownEncoder``."""
    notes: list[str] = []
    dimension = _dimension(demand)
    processes = _processes(demand, known, notes)
    data = _redis_data(demand, known)
    nodes = max(1, demand.partitions)
    vectors = dimension / BUNDLED_DIMENSION
    index = {
        what: vectors
        * (demand.captions * known[f"caption_{what}"].value + demand.records * known[f"image_{what}"].value)
        for what in ("memory", "pages", "disk")
    }
    if _name(demand) != "bundled":
        assumed = [name for name, figure in known.items() if not figure.measured]
        notes.append(f"assumed, not measured: {', '.join(assumed)}")
    notes.append("a GPU was not measured: measure yours with `python -m ops.bench encoders --device cuda`")
    notes.append("a Qdrant server was not measured: its figures are those of the embedded index")
    maxmemory = math.ceil(data / nodes * HEADROOM)
    return Size(
        peak=round(demand.peak, 3), records=demand.records, processes=processes, redis_nodes=nodes,
        redis_data=math.ceil(data / nodes), redis_maxmemory=maxmemory,
        redis_memory=math.ceil(maxmemory * FORK),
        redis_disk=math.ceil(demand.records / nodes * known["redis_file"].value * REWRITE),
        index_memory=math.ceil(index["memory"]), index_pages=math.ceil(index["pages"]),
        index_disk=math.ceil(index["disk"]),
        bucket_disk=math.ceil(demand.records * known["sidecar"].value) if demand.sidecars else 0, notes=notes,
    )  # fmt: skip


def _redis_data(demand: Demand, known: Mapping[str, Figure]) -> float:
    """Bytes in all nodes together."""
    nodes = max(1, demand.partitions)
    feeds = nodes + (nodes > 1)  # one of each partition, and that of all
    return (
        nodes * known["redis_empty"].value
        + demand.records * known["redis_record"].value
        + feeds * min(FEED_LENGTH, demand.records) * known["redis_feed_entry"].value
    )


def _processes(demand: Demand, known: Mapping[str, Figure], notes: list[str]) -> list[ProcessSize]:
    """Of each queue and service."""

    def cores(ms: float) -> float:
        return demand.peak * ms / 1000 / demand.used

    def of(name: str, ms: float, cores_each: float = 1.0) -> ProcessSize:
        need = cores(ms)
        number = max(1, math.ceil(need / cores_each))
        return ProcessSize(name, number, round(need, 3), round(number * known[_memory_of(name, demand)].value * 1e6))

    found = [of("embedding", _image_ms(demand, known), CORES_A_MODEL)]
    found += [of(name, known[f"{name}_ms"].value) for name in ("retrieval", "extraction", "scoring")]
    if demand.segmented:
        seconds = known[f"segmentation_{demand.method}_s"].value
        found.append(of("segmentation", demand.segmented * seconds * 1000 * CORES_A_MODEL, CORES_A_MODEL))
    found += [of(name, known[f"{name}_ms"].value) for name in ("dispatcher", "gateway")]
    redis = cores(known["redis_ms"].value)
    found.append(ProcessSize("redis", max(1, demand.partitions), round(redis, 3), 0))
    others = known["others_memory"].value
    found.append(ProcessSize("watcher or listener, Flower, supervisor", 1, 0.0, round(others * 1e6)))
    by_name = {one.name: one for one in found}
    if by_name["retrieval"].processes > 1:
        notes.append("several retrieval processes need a Qdrant server: one process owns the embedded index")
    if by_name["dispatcher"].processes > 1:
        notes.append("one dispatcher runs at a time: divide the bucket by prefix, with a Redis for each")
    if redis / max(1, demand.partitions) > 1:
        notes.append(
            f"Redis computes in one thread: {math.ceil(redis)} partitions on as many nodes, or RabbitMQ as the broker"
        )
    return found


def _image_ms(demand: Demand, known: Mapping[str, Figure]) -> float:
    if demand.image_ms is not None:
        return demand.image_ms
    figure = known.get(f"embedding_{_name(demand)}_ms")
    if figure is None:
        raise UnknownEncoder(
            f"there are no figures for the encoder {demand.encoder}: measure it with `wildtag tune`, and give"
            " --image-ms and --dimension"
        )
    return figure.value


def _dimension(demand: Demand) -> int:
    if demand.dimension is not None:
        return demand.dimension
    return 512 if _name(demand) == "clip_vit_b_32" else BUNDLED_DIMENSION


def _memory_of(name: str, demand: Demand) -> str:
    """The name of the figure. Who computes a model needs as much as the model."""
    models = {"embedding", "scoring", "segmentation"}
    return f"{name}_memory_clip" if name in models and _name(demand) != "bundled" else f"{name}_memory"


def _name(demand: Demand) -> str:
    """The encoder as the figures name it."""
    short = demand.encoder.rpartition("/")[2].replace("clip-vit-base-patch32", "clip-vit-b-32")
    return short.replace("-", "_").lower()
