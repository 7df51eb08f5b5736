"""Debian's RabbitMQ server, where it is installed."""

from __future__ import annotations

from pathlib import Path

MISSING = "RabbitMQ was NOT tested: its server is missing (apt-get install rabbitmq-server)."
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one on the PATH changes to another user
