"""The tree holds its own rules: one place makes adapters, no two modules share a name by chance, no file is long."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from tasks.pipeline import PipelineOptions
from workers.settings.settings import Settings

ROOT = Path(__file__).parents[2]
LONGEST = 300  # lines
STILL_LONG = {"tests/contract/stages/test_bad_input.py"}

ADAPTERS = frozenset({
    # stores and Redis
    "FolderStore", "S3Store", "S3Connection", "Minio", "MinioAdmin", "connect", "connect_async", "Health",
    "RedisCache", "RpcClient",
    # lifecycle
    "Ledger", "Records", "Inbox", "ProgressReader", "Idempotency", "ApiKeys", "Batches",
    # outages
    "OutageTracker", "OutageReport", "OutageBoard",
    # broker and gateway
    "create_app", "Publisher", "Broadcaster", "BatchingWriter", "CaptionService",
    # events and dispatch
    "EventSink", "Sources", "EventProbes", "AccessList", "NamespaceHash", "Dispatcher", "EventFilter", "Keeper",
    "Sweeper", "SegmentQueue", "SegmentationRequests", "Artifacts",
    # notifying
    "Outbox", "DeadLetters", "Poster", "OutgoingClient", "Notifier", "Writer",
    # the method
    "Extractor", "extractor", "load_image_encoder", "load_text_encoder", "Pipeline", "FolderLibrary", "ServerLibrary",
    "OpenIndexes", "ActiveVersion", "RemoteIndex", "RemoteEncoder",
    # images
    "OpenImages", "DuplicateFinder", "ExampleBook", "Teacher", "StatementJournal", "Statements", "Archive",
    "Backlog", "FollowJobs", "StalledJobs", "StatementMover", "Departures", "CoverageReader", "VerificationWanted",
    "RemoteArchive", "RemoteImages", "Follower", "FolderImages", "ServerImageLibrary", "Restoration",
    # stages and liveness
    "StageWorker", "StageRunner", "Handover", "Fetcher", "Segmenter", "LivenessCheck", "WorkerLiveness",
    "LivenessFiles",
    # operations
    "DataLoss", "Refill", "Losses", "LowPriorityInbox",
    "Migrator", "Spellings", "SourceDelays", "ExistingObject", "Stack", "Holds", "FolderMounts", "SameVersions",
    "RemovalGuard", "Triage",
    # several partitions
    "PartitionedLedger", "PartitionedRecords", "PartitionedStatements", "PartitionedProgress", "PartitionedVersions",
    "PartitionedRequests", "PartitionedArtifacts", "PartitionedInterrupted", "PartitionedBatchObjects",
})  # fmt: skip

ONE_EACH = "one for each partition, inside of the one for all"
OWN_TRACKER = "a tracker that lives in its owner alone, where the caller gives none; no setting is read"
EXCEPTIONS = {
    "processes/worker.py: OutageTracker": "without probes, which would load the index engine, and without notes",
    "processes/next_encoder.py: OutageTracker": "as above, until there is an encoder to prepare",
    "processes/crashes.py: connect": "of a signal of Celery, not of Redis",
    "dispatch/dispatcher.py: OutageTracker": OWN_TRACKER,
    "events/folder_watch.py: OutageTracker": OWN_TRACKER,
    "gateway/broadcaster.py: OutageTracker": OWN_TRACKER,
    "notifying/writeback.py: OutageTracker": OWN_TRACKER,
    "gateway/app.py: Broadcaster": "belongs to the event loop of the app; made of its services",
    "processes/gateway.py: create_app": "the web application, of services and options that wiring makes",
    "redis/heartbeats.py: LivenessFiles": "of no folder, where the caller gives none: it writes nothing",
    "lifecycle/partitioned_ledger.py: Ledger": ONE_EACH,
    "lifecycle/partitioned_records.py: Records": ONE_EACH,
    "segmentation/partitioned_artifacts.py: Artifacts": ONE_EACH,
    "stores/s3_connection.py: Minio": "the client inside of the adapter",
}

# they name a module after what they command, run or build
NAMED_AFTER = {"cli", "processes", "wiring"}
ONE_TOPIC = {
    "segmentation": "each folder's part of segmentation: its settings, its evaluation",
}


def modules(*packages: str) -> Iterator[Path]:
    for package in packages:
        yield from sorted((ROOT / package).rglob("*.py"))


def called(tree: ast.AST) -> Iterator[str]:
    """The names that are called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    yield name


def test_only_wiring_makes_adapters() -> None:
    found = {
        f"{path.relative_to(ROOT / 'workers').as_posix()}: {name}"
        for path in modules("workers")
        if path.parent.name != "wiring"
        for name in set(called(ast.parse(path.read_text()))) & ADAPTERS
    }
    assert sorted(found - EXCEPTIONS.keys()) == [], "made outside of workers/wiring/"
    assert sorted(EXCEPTIONS.keys() - found) == [], "an exception that nothing needs any more"


def test_what_wiring_builds_does_not_read_settings() -> None:
    above = {"cli", "processes", "embedded", "evaluation", "wiring", "settings"}
    found = [
        path.relative_to(ROOT).as_posix()
        for path in modules("workers")
        if path.relative_to(ROOT / "workers").parts[0] not in above
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and any(name.name.endswith("Settings") for name in node.names)
    ]
    assert sorted(found) == ["workers/diagnostics/doctor.py", "workers/diagnostics/packages.py"], "they check"


def test_every_option_of_the_method_is_a_setting() -> None:
    options = {field.name for field in fields(PipelineOptions)}
    assert options - Settings.model_fields.keys() == {"limit", "view"}, "retrieval_limit; and a view names several"


def test_no_two_modules_have_one_name_with_two_meanings() -> None:
    folders = defaultdict(set)
    for path in modules("workers"):
        if not path.name.startswith("__"):
            folders[path.stem].add(path.relative_to(ROOT / "workers").parts[0])
    shared = {name: where - NAMED_AFTER for name, where in folders.items() if name not in ONE_TOPIC}
    assert {name: where for name, where in shared.items() if len(where) > 1} == {}


def test_no_module_test_or_style_sheet_is_long() -> None:
    styles = [path for folder in ("workers", "docs", "ops") for path in (ROOT / folder).rglob("*.css")]
    assert styles
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for path in (*modules("workers", "tasks", "vectordb", "ops", "tests"), *styles)
        if (lines := len(path.read_text().splitlines())) > LONGEST
    }
    assert long.keys() <= STILL_LONG, long


def test_the_page_loads_every_style_sheet_beside_it() -> None:
    page = ROOT / "workers" / "gateway" / "page_files"
    loaded = re.findall(r'<link rel="stylesheet" href="([^"/]+)">', (page / "index.html").read_text())
    assert sorted(loaded) == sorted(file.name for file in page.glob("*.css"))
    assert loaded[-1] == "media.css", "its rules replace those of the others"
