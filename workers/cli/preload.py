"""Imports what the processes of the embedded stack share, for the process that forks them (``PreforkServer``).

Nothing here reads the environment or a setting, opens anything or starts a thread.
"""

from __future__ import annotations

import importlib

from workers.broker.celery_commands import import_commands

MODULES = (
    # billiard's, which a worker imports when it makes its pool: they parse C declarations, for a fifth of a second
    "billiard.heap", "billiard.popen_fork", "billiard.sharedctypes", "billiard.synchronize", "cffi.cparser",
    "celery.apps.worker", "celery.app.amqp", "celery.app.control", "celery.app.events", "celery.app.log",
    "celery.app.trace", "celery.concurrency.prefork", "celery.fixups.django",
    "celery.worker.autoscale", "celery.worker.components", "celery.worker.consumer",
    "celery.worker.consumer.delayed_delivery", "celery.worker.strategy", "kombu.transport.redis", "msgpack", "numpy",
    "prometheus_client.multiprocess", "tasks.encoders.bundled", "workers.broker.consumer",
    "workers.broker.redis_transport", "workers.cli.main", "workers.cli.processes", "workers.embedded.stack",
    "workers.processes.dispatcher", "workers.processes.watcher", "workers.processes.worker",
    "workers.wiring.dispatch", "workers.wiring.stages",
)  # fmt: skip

import_commands()
for _name in MODULES:
    importlib.import_module(_name)
