"""The broker's contracts; those of RabbitMQ are left out where there is no server, but not in CI."""

from __future__ import annotations

import os

from tests.contract.rabbitmq_server import SERVER

collect_ignore_glob: list[str] = []
if not SERVER.exists() and os.environ.get("CI") != "true":
    collect_ignore_glob.append("test_rabbitmq*.py")
