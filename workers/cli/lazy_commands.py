"""The commands of ``wildtag``, without importing them.

Help, completion and wrong usage need the name and the first paragraph of each command, and nothing of its module.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import typer
import typer.main
from typer.core import TyperCommand

from workers.cli.panels import BUCKET, CAPTIONS, OPERATE, RUN, SEGMENT, TAG


@dataclass(frozen=True)
class Command:
    """A command or a group: the module of ``workers.cli`` that adds it, and how ``wildtag --help`` lists it.

    ``summary``: the first paragraph of its help text.
    """

    name: str
    module: str
    panel: str
    summary: str

    def listed(self) -> TyperCommand:
        """What lists it; it cannot run."""
        return TyperCommand(self.name, help=self.summary, rich_help_panel=self.panel)


COMMANDS = (
    Command("up", "stack", RUN,
        "Run the whole stack on this machine until Ctrl-C. Images in the printed folder are tagged."),
    Command("down", "down", RUN, "Stop the stack of this home, as Ctrl-C does where it was started."
        " Exit status 1: none runs or stops."),
    Command("drain", "drain", RUN,
        "Stop handing out images, and wait until those in progress are finished. New ones are stored and wait."),
    Command("undrain", "drain", RUN, "End a drain: what has waited is tagged."),
    Command("demo", "stack", RUN, "Start the stack, tag 13 sample photographs, show the results, and stop."),
    Command("prepare", "stack", RUN,
        "Encode the starter captions, unless that has been done. Measures the encoder first (`wildtag tune`)."),
    Command("worker", "processes", RUN, "Run a worker, which consumes the queues of one or more stages."),
    Command("dispatcher", "processes", RUN,
        "Run the dispatcher, which turns events into batches and keeps the ledger."),
    Command("watcher", "processes", RUN, "Watch the inbox folder for new, changed and removed images."),
    Command("gateway", "processes", RUN, "Run the HTTP gateway: the page, the API and the webhook for events."),
    Command("flower", "processes", RUN,
        "Run Flower, which monitors the workers. Default of WILDTAG_FLOWER_AUTH: the file flower.auth in the home."),
    Command("writer", "bucket", RUN, "Run the writer, which stores tags beside the images."),
    Command("notifier", "webhooks", RUN,
        "Run the notifier, which delivers events to all receivers. New ones begin with now."),
    Command("listen", "processes", RUN, "Consume bucket notifications."),
    Command("tag", "one_process", TAG,
        "Tag files in this process, without a running stack. Nothing is stored. Exit status 1: a file failed."),
    Command("upload", "upload", TAG, "Upload images to the gateway, several at a time."),
    Command("results", "results", TAG, "Show the records of images: their tags, or the reason why there are none."),
    Command("watch", "results", TAG,
        "Show results as they arrive, until Ctrl-C. Waits while Redis is unavailable, then resumes where it stopped."
    ),
    Command("find", "find", TAG,
        "Find images by what they show, by an image that looks like them, or by tags alone; the best first."),
    Command("duplicates", "duplicates", TAG,
        "List copies of one picture: resized, compressed, turned or mirrored. Nothing is deleted."),
    Command("evaluate", "evaluate", TAG,
        "Measure tags or segmentations on labelled images. Options that are not given come from the settings."),
    Command("calibrate", "calibrate", TAG,
        "Fit the confidence of tags on labelled images, and print how true it is on images it was not fitted on."),
    Command("teach", "teach", CAPTIONS,
        "Say what an image shows. It keeps the label through every retag; images that look like it gain it, too."),
    Command("captions", "captions", CAPTIONS, "Import, switch, copy, search and teach captions."),
    Command("examples", "teach", CAPTIONS, "List, export and import what people said of images."),
    Command("reconcile", "bucket", BUCKET,
        "Compare a bucket with its records: queue objects that events missed, and drop records of removed objects."),
    Command("retag", "bucket", BUCKET, "Tag objects again, at low priority: new objects go first."),
    Command("events", "events", BUCKET, "Notifications of MinIO and other servers: counts, and what was rejected."),
    Command("s3", "s3", BUCKET, "Set up and check a bucket on MinIO or another S3 server."),
    Command("segment", "segment", SEGMENT,
        "Segment images: a table of labelled segments, a label map and an overlay for each image."),
    Command("status", "status", OPERATE,
        "Show what waits and is in progress, each stage's load and progress, failures, and what is unavailable."),
    Command("dead", "dead", OPERATE,
        "Objects that were given up: list them, show why, tag them again, or acknowledge them."),
    Command("doctor", "doctor", OPERATE,
        "Check this machine and the running stack, and say how to fix what fails. Exit status 1: a check failed."),
    Command("logs", "show_logs", OPERATE, "Print the logs of the stack of this home, also of one that has stopped."),
    Command("models", "models", OPERATE,
        "List encoders with size, dimension, licence, and what is known of their quality and speed."),
    Command("size", "size", OPERATE,
        "Estimate the processes, cores, memory and disk for a number of images a day, from measured figures."),
    Command("tune", "tune", OPERATE,
        "Measure which runtime and batch are fastest for the encoder on this machine, and remember them."),
    Command("alive", "alive", OPERATE,
        "Check whether a process makes progress; exit status 1 if it does not. For health checks."),
    Command("encoder", "encoder", OPERATE, "Change the encoder while the stack serves with the one before."),
    Command("migrate", "migrate", OPERATE,
        "Bring the Redis keys of an older wildtag to the current layout. Stop all its processes first."),
    Command("backup", "backup", OPERATE,
        "Save records, keys, batches, captions and what people said. The stack may run meanwhile."),
    Command("restore", "backup", OPERATE,
        "Restore a backup into an empty home or key prefix. Stop all processes of wildtag first."),
    Command("backups", "backup", OPERATE, "List and verify backups."),
    Command("images", "images", OPERATE, "Verify, repair and describe the index of images."),
    Command("keys", "api_keys", OPERATE, "Create, list and revoke API keys of the gateway."),
    Command("webhooks", "webhooks", OPERATE, "Inspect, pause and test receivers of webhooks, and replay deliveries."),
)  # fmt: skip
"""In the order of the help. A test compares them with the commands of the modules."""


class LazyCommands(MutableMapping[str, Any]):
    """Click's commands by name. The module of a command is imported when the command is first taken out."""

    def __init__(self) -> None:
        self._modules = {command.name: command.module for command in COMMANDS}
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded |= commands_of(self._modules[name])
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._modules.setdefault(name, "")
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._modules[name]
        self._loaded.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


def commands_of(module: str) -> dict[str, Any]:
    """Click's commands by name, of a module of ``workers.cli``, which is imported."""
    app = typer.Typer(pretty_exceptions_show_locals=False)
    importlib.import_module(f"workers.cli.{module}").add_to(app)
    return dict(typer.main.get_group(app).commands)
